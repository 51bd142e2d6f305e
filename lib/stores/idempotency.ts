import { createHash } from "node:crypto";
import { IdempotencyInProgress, IdempotencyMismatch, isDefinite, ShopError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { SqlService } from "../service-names.ts";
import type { Database, Tx } from "./database.ts";
import type { Migration } from "./migrate.ts";

/** Hours that the first answer under a key is given again. */
const KEPT_HOURS = 24;
/** After this a retry may take over from a request whose process died: longer than any action with a key may take. */
const LEASE_SECONDS = 30;

/** A request that came with an `Idempotency-Key`. Keys of different users or scopes never meet. */
export interface KeyedRequest {
  userId: string;
  /** What is asked for: `payments.refund`. */
  scope: string;
  key: string;
  params: object;
}

/** The right to run a request, until its lease ends. */
export interface Claim {
  /** The same for every run of one request: make the keys of its effects from it, and a retry continues them. */
  readonly id: string;
  /** An earlier run ended without an answer, and may have had its effect. */
  readonly resumed: boolean;
  /** Names this run, so that one which was overtaken writes nothing. */
  readonly lease: string;
}

/** How a request ended: both kinds are kept and given again. */
export type Answer<T> = { kind: "result"; result: T } | { kind: "refusal"; failure: ShopError };

/** An {@link Answer} as JSON. */
type KeptAnswer<T> =
  | { kind: "result"; result: T }
  | { kind: "refusal"; message: string; status: number; code: string; data: object };

interface KeyRow<T> {
  request_hash: string;
  answer: KeptAnswer<T> | null;
}

/** The table behind {@link IdempotencyKeys}, for a migration of the service whose schema it stands in. */
export function idempotencyKeysTable(): Pick<Migration, "up" | "down"> {
  return {
    up: `
      CREATE TABLE idempotency_keys (
        user_id uuid NOT NULL,
        scope text NOT NULL,
        key text NOT NULL,
        id uuid NOT NULL UNIQUE,
        request_hash text NOT NULL,
        lease uuid NOT NULL,
        lease_until timestamptz NOT NULL,
        -- The first answer, a result or a definite refusal; null while there is none.
        answer jsonb,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, scope, key)
      );
      CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);`,
    down: "DROP TABLE idempotency_keys;",
  };
}

/** A digest that is the same for the same request, however its properties are ordered. @returns 64 hex digits */
export function requestHash(params: object): string {
  return createHash("sha256").update(canonical(params)).digest("hex");
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Idempotency keys in a service's own schema: one run at a time under a key, and one answer. */
export class IdempotencyKeys {
  readonly #db: Database;
  readonly #table: string;

  constructor(db: Database, schema: SqlService) {
    this.#db = db;
    this.#table = `${schema}.idempotency_keys`;
  }

  /**
   * Runs `work` unless its request has an answer, and keeps what it answers: a result or a definite refusal. Anything
   * else it throws (an unknown outcome, a refusal that a retry may change) frees the key for a retry, and is thrown on.
   * @throws IdempotencyInProgress, IdempotencyMismatch
   */
  async run<T extends object>(
    request: KeyedRequest,
    work: (claim: Claim) => Promise<T>,
  ): Promise<{ answer: Answer<T>; replayed: boolean }> {
    const begun = await this.begin<T>(request);
    if ("answer" in begun) return { answer: begun.answer, replayed: true };
    const { claim } = begun;
    const answer = await this.#attempt(claim, work);
    await this.complete(claim, answer);
    return { answer, replayed: false };
  }

  async #attempt<T extends object>(claim: Claim, work: (claim: Claim) => Promise<T>): Promise<Answer<T>> {
    try {
      return { kind: "result", result: await work(claim) };
    } catch (error) {
      if (isDefinite(error) && !error.retryable) return { kind: "refusal", failure: error };
      // If this fails too, the lease frees the key a little later.
      await this.abandon(claim).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Claims the key, or gives the answer that is kept under it.
   * @throws IdempotencyInProgress while another run holds it; IdempotencyMismatch if it was used with other params
   */
  async begin<T>(request: KeyedRequest, tx?: Tx): Promise<{ claim: Claim } | { answer: Answer<T> }> {
    const { userId, scope, key } = request;
    const hash = requestHash(request.params);
    const id = newId();
    const lease = newId();
    for (;;) {
      const claimed = await this.#db.one<{ id: string }>(
        `INSERT INTO ${this.#table} AS k (user_id, scope, key, id, request_hash, lease, lease_until)
         VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}))
         ON CONFLICT (user_id, scope, key) DO UPDATE SET lease = excluded.lease, lease_until = excluded.lease_until
           WHERE k.answer IS NULL AND k.lease_until <= clock_timestamp() AND k.request_hash = excluded.request_hash
         RETURNING id`,
        [userId, scope, key, id, hash, lease],
        tx,
      );
      if (claimed) return { claim: { id: claimed.id, resumed: claimed.id !== id, lease } };
      const kept = await this.#db.one<KeyRow<T>>(
        `SELECT request_hash, answer FROM ${this.#table} WHERE user_id = $1 AND scope = $2 AND key = $3`,
        [userId, scope, key],
        tx,
      );
      // Swept in between: the key is free again.
      if (!kept) continue;
      if (kept.request_hash !== hash) throw new IdempotencyMismatch({});
      if (kept.answer === null) throw new IdempotencyInProgress({});
      return { answer: revived(kept.answer) };
    }
  }

  /**
   * Keeps the answer, in the caller's transaction if one is given.
   * @returns false, having written nothing, if another run has taken the key over
   */
  async complete<T extends object>(claim: Claim, answer: Answer<T>, tx?: Tx): Promise<boolean> {
    const kept = await this.#db.one(
      `UPDATE ${this.#table} SET answer = $3 WHERE id = $1 AND lease = $2 AND answer IS NULL RETURNING id`,
      [claim.id, claim.lease, JSON.stringify(plain(answer))],
      tx,
    );
    return kept !== undefined;
  }

  /** Ends a run that has no answer: the next one under the key continues it. */
  async abandon(claim: Claim): Promise<void> {
    await this.#db.rows(
      `UPDATE ${this.#table} SET lease_until = clock_timestamp() WHERE id = $1 AND lease = $2 AND answer IS NULL
       RETURNING id`,
      [claim.id, claim.lease],
    );
  }

  /** Forgets keys past their time. @returns how many */
  async sweep(): Promise<number> {
    const forgotten = await this.#db.rows(
      `DELETE FROM ${this.#table}
       WHERE created_at < now() - make_interval(hours => ${KEPT_HOURS}) AND lease_until < now() RETURNING id`,
    );
    return forgotten.length;
  }
}

function plain<T>(answer: Answer<T>): KeptAnswer<T> {
  if (answer.kind === "result") return answer;
  const { message, code: status, type: code, data } = answer.failure;
  return {
    kind: "refusal",
    message,
    status,
    code,
    data: typeof data === "object" && data !== null ? data : {},
  };
}

function revived<T>(kept: KeptAnswer<T>): Answer<T> {
  if (kept.kind === "result") return kept;
  const { message, status, code, data } = kept;
  return { kind: "refusal", failure: new ShopError(message, status, code, data, false) };
}
