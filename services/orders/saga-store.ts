import { newId } from "../../lib/ids.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import { type Jobs, type NewJob, removeJob } from "../../lib/stores/jobs.ts";
import { LeaseLost, type SagaJournal } from "./saga.ts";
import {
  EXPIRY_QUEUE,
  type NewSaga,
  SAGA_QUEUE,
  type SagaData,
  type SagaKind,
  type SagaRow,
} from "./saga-records.ts";

/** Sagas in Postgres: leases, fences, and the job that takes over when a driver dies. */

/** After so many unknown answers an operator is asked to look. With the job's backoff that is about an hour. */
export const PARK_AFTER = 40;

const COLUMNS = "id, order_id, kind, state, step, data, attempts, fence, job_id";

export class SagaStore {
  readonly #db: Database;
  readonly #jobs: Jobs;
  readonly #owner: string;
  readonly #lease: number;

  /** @param lease ms that a driver may be silent before another takes over; renewed while it lives */
  constructor(db: Database, jobs: Jobs, owner: string, lease: number) {
    this.#db = db;
    this.#jobs = jobs;
    this.#owner = owner;
    this.#lease = lease;
  }

  /** A new saga, leased to this node, and the job behind it: for a statement that writes them with their order. */
  draft(orderId: string, kind: SagaKind, data: SagaData): NewSaga {
    const id = newId();
    return {
      saga: {
        id,
        order_id: orderId,
        kind,
        state: "running",
        step: null,
        data,
        attempts: 0,
        fence: "1",
        job_id: id,
      },
      owner: this.#owner,
      lease: this.#lease / 1000,
      job: this.#jobOf(id, id),
    };
  }

  /** Writes a new saga, leased to this node, and the job behind it, in the caller's transaction. */
  async begin(tx: Tx, orderId: string, kind: SagaKind, data: SagaData): Promise<SagaRow> {
    const { saga, owner, lease, job } = this.draft(orderId, kind, data);
    await this.#db.rows(
      `INSERT INTO orders.sagas (id, order_id, kind, state, data, fence, owner, lease_until, job_id)
       VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8), $9)`,
      [saga.id, orderId, kind, saga.state, JSON.stringify(data), saga.fence, owner, lease, saga.job_id],
      tx,
    );
    await this.#jobs.put(tx, [job]);
    return saga;
  }

  /** Takes up a waiting saga again, in the caller's transaction. @returns undefined if it waits no longer */
  async resume(tx: Tx, id: string, data: SagaData): Promise<SagaRow | undefined> {
    const jobId = newId();
    const row = await this.#db.one<SagaRow>(
      `UPDATE orders.sagas SET state = 'running', step = NULL, data = $2, attempts = 0, last_error = NULL,
         fence = fence + 1, owner = $3, lease_until = now() + make_interval(secs => $4), job_id = $5, updated_at = now()
       WHERE id = $1 AND state = 'waiting' RETURNING ${COLUMNS}`,
      [id, JSON.stringify(data), this.#owner, this.#lease / 1000, jobId],
      tx,
    );
    if (row) await this.#jobs.put(tx, [this.#jobOf(row.id, jobId)]);
    return row;
  }

  /** The order's saga that is not at its end, locked against everyone else until the transaction ends. */
  async live(tx: Tx, orderId: string): Promise<SagaRow | undefined> {
    return await this.#db.one<SagaRow>(
      `SELECT ${COLUMNS} FROM orders.sagas WHERE order_id = $1 AND state NOT IN ('done', 'undone') FOR UPDATE`,
      [orderId],
      tx,
    );
  }

  async find(id: string): Promise<SagaRow | undefined> {
    return await this.#db.one<SagaRow>(`SELECT ${COLUMNS} FROM orders.sagas WHERE id = $1`, [id]);
  }

  async parkedOf(orderId: string): Promise<string | undefined> {
    const saga = await this.#db.one<{ id: string }>(
      "SELECT id FROM orders.sagas WHERE order_id = $1 AND state = 'parked'",
      [orderId],
    );
    return saga?.id;
  }

  /** Takes over a saga whose driver has been silent past its lease. @returns undefined while somebody drives it */
  async takeOver(id: string): Promise<SagaRow | undefined> {
    return await this.#db.one<SagaRow>(
      `UPDATE orders.sagas SET fence = fence + 1, attempts = greatest(attempts, 1), owner = $2,
         lease_until = now() + make_interval(secs => $3), updated_at = now()
       WHERE id = $1 AND state IN ('running', 'compensating') AND (lease_until IS NULL OR lease_until < now())
       RETURNING ${COLUMNS}`,
      [id, this.#owner, this.#lease / 1000],
    );
  }

  /** The same by the order: for a client that asks again before the job has looked. */
  async takeOverOf(orderId: string): Promise<SagaRow | undefined> {
    const saga = await this.#db.one<{ id: string }>(
      "SELECT id FROM orders.sagas WHERE order_id = $1 AND state IN ('running', 'compensating')",
      [orderId],
    );
    return saga ? await this.takeOver(saga.id) : undefined;
  }

  /** Runs `work` while keeping the lease alive. It is the caller's to give up. */
  async whileLeased<T>(saga: SagaRow, work: () => Promise<T>): Promise<T> {
    const renewal = setInterval(() => {
      this.#db
        .rows(
          `UPDATE orders.sagas SET lease_until = now() + make_interval(secs => $3)
           WHERE id = $1 AND fence = $2 AND state IN ('running', 'compensating')`,
          [saga.id, saga.fence, this.#lease / 1000],
        )
        .catch(() => undefined); // A renewal that fails is a lease that runs out: the job takes over.
    }, this.#lease / 3);
    try {
      return await work();
    } finally {
      clearInterval(renewal);
    }
  }

  journal(saga: SagaRow): SagaJournal {
    const { refusal } = saga.data;
    return {
      ...(saga.step === null ? {} : { resumeAt: saga.step }),
      ...(saga.state === "compensating" && refusal ? { refusal } : {}),
      isFirstRun: saga.attempts === 0,
      turnBack: async (why) => {
        await this.#write(saga, "state = 'compensating', data = data || $3", [
          JSON.stringify({ refusal: why }),
        ]);
      },
      unknown: async (step, error) => {
        await this.#write(
          saga,
          `attempts = attempts + 1, last_error = $3,
           state = CASE WHEN attempts + 1 >= ${PARK_AFTER} THEN 'parked' ELSE state END`,
          [
            `${step}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`.slice(
              0,
              500,
            ),
          ],
        );
      },
    };
  }

  /** @throws LeaseLost if another driver has taken the saga over */
  async assertHeld(saga: SagaRow): Promise<void> {
    const values = [saga.id, saga.fence];
    const held = await this.#db.one("SELECT id FROM orders.sagas WHERE id = $1 AND fence = $2", values);
    if (!held) throw new LeaseLost();
  }

  /** Lets the saga wait for its payment, without a job, in the caller's transaction. @throws LeaseLost */
  async suspend(tx: Tx, saga: SagaRow): Promise<void> {
    await this.#write(saga, "state = 'waiting', lease_until = NULL, data = data - 'payment_method'", [], tx);
    await this.#jobs.remove(tx, SAGA_QUEUE.name, saga.job_id);
  }

  /** Ends an undone saga and takes its job away, in the caller's transaction. @throws LeaseLost */
  async undone(tx: Tx, saga: SagaRow): Promise<void> {
    await this.#write(saga, "state = 'undone', lease_until = NULL, data = data - 'payment_method'", [], tx);
    await this.#jobs.remove(tx, SAGA_QUEUE.name, saga.job_id);
  }

  /**
   * Ends a finished saga and takes its job away, by one statement that doesn't wait for the disk: if a crash of the
   * database loses it, the job asks every step once more and is told that all is done.
   * @throws LeaseLost
   */
  async finish(saga: SagaRow): Promise<void> {
    const rows = await this.#db.rows(
      `WITH done AS (
         UPDATE orders.sagas SET state = 'done', lease_until = NULL, data = data - 'payment_method', updated_at = now()
         FROM (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed
         WHERE id = $1 AND fence = $2 RETURNING job_id
       ), removed AS (${removeJob("$3", "(SELECT job_id FROM done)")})
       SELECT job_id FROM done`,
      [saga.id, saga.fence, SAGA_QUEUE.name],
    );
    if (rows.length === 0) throw new LeaseLost();
  }

  /** Sends the job that cancels the order at `when` if it is still unpaid, in the caller's transaction. */
  async expireAt(tx: Tx, orderId: string, when: Date): Promise<void> {
    await this.#jobs.put(tx, [{ queue: EXPIRY_QUEUE.name, data: { order_id: orderId }, startAfter: when }]);
  }

  /** Gives the lease up at once, so that whoever asks next need not wait for it to run out. */
  async letGo(saga: SagaRow): Promise<void> {
    await this.#db.rows("UPDATE orders.sagas SET lease_until = now() WHERE id = $1 AND fence = $2", [
      saga.id,
      saga.fence,
    ]);
  }

  /** Closes a waiting saga that another one replaces, in the caller's transaction. */
  async close(tx: Tx, id: string): Promise<void> {
    await this.#db.rows(
      "UPDATE orders.sagas SET state = 'undone', fence = fence + 1, updated_at = now() WHERE id = $1",
      [id],
      tx,
    );
  }

  /** Parks a saga whose job was given up, since nothing would go on with it. */
  async park(id: string): Promise<void> {
    await this.#db.rows(
      `UPDATE orders.sagas SET state = 'parked', fence = fence + 1, updated_at = now()
       WHERE id = $1 AND state IN ('running', 'compensating') RETURNING id`,
      [id],
    );
  }

  /** Puts a parked saga back to work. @returns undefined if it isn't parked */
  async redrive(id: string): Promise<SagaRow | undefined> {
    return await this.#db.transaction(async (tx) => {
      const jobId = newId();
      const row = await this.#db.one<SagaRow>(
        `UPDATE orders.sagas SET state = CASE WHEN data ? 'refusal' THEN 'compensating' ELSE 'running' END,
           attempts = 1, fence = fence + 1, owner = $2, lease_until = now() + make_interval(secs => $3), job_id = $4,
           updated_at = now()
         WHERE id = $1 AND state = 'parked' RETURNING ${COLUMNS}`,
        [id, this.#owner, this.#lease / 1000, jobId],
        tx,
      );
      if (row) await this.#jobs.put(tx, [this.#jobOf(id, jobId)]);
      return row;
    });
  }

  #jobOf(sagaId: string, jobId: string): NewJob {
    // It first looks when the first lease could have run out; a saga that ended has taken its job away.
    const startAfter = new Date(Date.now() + this.#lease);
    return { queue: SAGA_QUEUE.name, data: { saga_id: sagaId }, id: jobId, startAfter };
  }

  /** Every write of a driver goes through here (the pivot's, checkout-writes.ts): it counts only under the fence that the driver was given. */
  async #write(saga: SagaRow, assignments: string, values: unknown[], tx?: Tx): Promise<void> {
    const rows = await this.#db.rows(
      `UPDATE orders.sagas SET ${assignments}, updated_at = now() WHERE id = $1 AND fence = $2 RETURNING id`,
      [saga.id, saga.fence, ...values],
      tx,
    );
    if (rows.length === 0) throw new LeaseLost();
  }
}
