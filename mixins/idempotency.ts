import { newId } from "../lib/ids.ts";
import { principalOf } from "../lib/meta.ts";
import { repeat } from "../lib/repeat.ts";
import type { Ctx, Mixin } from "../lib/service.ts";
import type { SqlService } from "../lib/service-names.ts";
import { type Claim, IdempotencyKeys } from "../lib/stores/idempotency.ts";

const SWEEP_EVERY = 600_000;

export interface IdempotencyThis {
  /**
   * Answers a user's request once for its `Idempotency-Key`: the first answer, a result or a definite refusal, is kept
   * and given again with `Idempotent-Replayed: true`. A request without a key just runs.
   * @param scope the action's full name
   * @throws what `work` throws; IdempotencyInProgress, IdempotencyMismatch
   */
  readonly answerOnce: <T extends object>(
    ctx: Ctx,
    scope: string,
    work: (claim: Pick<Claim, "id" | "resumed">) => Promise<T>,
  ) => Promise<T>;
}

/** Gives an SQL service idempotency keys; its migrations make the table by `idempotencyKeysTable()`. */
export function idempotency(name: SqlService): Mixin<IdempotencyThis> {
  return {
    build(broker) {
      let stopSweep: (() => Promise<void>) | undefined;
      return {
        // Not in `created`: that of `sql`, which makes the database, may run later.
        started() {
          const keys = new IdempotencyKeys(this.db, name);
          const answerOnce: IdempotencyThis["answerOnce"] = async (ctx, scope, work) => {
            const { idempotencyKey: key } = ctx.meta;
            if (key === undefined) return await work({ id: newId(), resumed: false });
            const { id: userId } = principalOf(ctx.meta);
            const { answer, replayed } = await keys.run({ userId, scope, key, params: ctx.params }, work);
            if (replayed) {
              ctx.meta.$responseHeaders = { ...ctx.meta.$responseHeaders, "Idempotent-Replayed": "true" };
            }
            if (answer.kind === "refusal") throw answer.failure;
            return answer.result;
          };
          Object.assign(this, { answerOnce });
          stopSweep = repeat({
            work: () => keys.sweep(),
            every: SWEEP_EVERY,
            after: SWEEP_EVERY,
            failed: (error) => {
              broker.logger.warn("Could not sweep idempotency keys", { service: name, error: String(error) });
            },
          });
        },
        async stopped() {
          await stopSweep?.();
        },
      };
    },
  };
}
