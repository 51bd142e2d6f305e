import type { Caller } from "../../lib/call.ts";
import { madeAt } from "../../lib/ids.ts";
import { isStoreAway } from "../../middlewares/failures.ts";
import { checkoutSaga } from "./checkout.saga.ts";
import { closingSaga } from "./closing.saga.ts";
import type { OrderRecord } from "./order-store.ts";
import { type DriveOptions, drive, LeaseLost, type SagaResult, SagaUnresolved } from "./saga.ts";
import type { OrdersParts, SagaContext } from "./saga-context.ts";
import type { SagaRow } from "./saga-records.ts";

/** ms between tries of an unknown step while a customer waits for the answer. */
export const WHILE_ASKED: DriveOptions = { retryDelays: [100, 400] };
/** In a job: pg-boss does the waiting. */
export const IN_JOB: DriveOptions = { retryDelays: [] };

const DEFINITIONS = { checkout: checkoutSaga, closing: closingSaga };

export interface DriveResult {
  result: SagaResult;
  /** The order as the saga left it. */
  record: OrderRecord;
}

/**
 * Drives a saga that this node holds the lease of.
 * @throws SagaUnresolved (its job goes on with it), LeaseLost (somebody else does)
 */
export async function driveSaga(
  parts: OrdersParts,
  caller: Caller,
  saga: SagaRow,
  record: OrderRecord,
  options: DriveOptions,
): Promise<DriveResult> {
  const context: SagaContext = { ...parts, caller, saga, record };
  try {
    const { metrics, sagas } = parts;
    const result = await sagas.whileLeased(saga, () =>
      drive(DEFINITIONS[saga.kind], context, sagas.journal(saga), {
        ...options,
        onAnswer: (step, outcome) => metrics.count("molecart_saga_steps_total", { step, outcome }),
      }),
    );
    if (result.kind !== "waiting") {
      const outcome = result.kind === "undone" ? "undone" : "done";
      const age = Date.now() - madeAt(saga.job_id);
      metrics.observe("molecart_saga_duration_seconds", Math.max(0, age), { kind: saga.kind, outcome });
    }
    return { result, record: context.record };
  } catch (error) {
    // The database may be what is away: then the lease just runs out.
    if (!(error instanceof LeaseLost)) await parts.sagas.letGo(saga).catch(() => undefined);
    throw error;
  }
}

/** The job behind every saga: takes over if its driver has fallen silent. Throws to be run again later. */
export async function resumeSaga(parts: OrdersParts, caller: Caller, sagaId: string): Promise<void> {
  const saga = await parts.sagas.takeOver(sagaId);
  if (!saga) {
    const current = await parts.sagas.find(sagaId);
    if (current?.state === "running" || current?.state === "compensating") {
      throw new Error("Another driver holds the lease of this saga");
    }
    return;
  }
  try {
    await driveSaga(parts, caller, saga, await parts.orders.get(saga.order_id), IN_JOB);
  } catch (error) {
    if (error instanceof LeaseLost) return;
    throw error;
  }
}

/** True if the saga goes on without this driver: by its job (when its own database is back, too), or by whoever took it over. */
export function goesOn(error: unknown): boolean {
  return error instanceof SagaUnresolved || error instanceof LeaseLost || isStoreAway(error);
}
