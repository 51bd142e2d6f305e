import type { Database } from "../../lib/stores/database.ts";
import type { PaymentRow } from "./payments.model.ts";

/** A payment and whether its last request can no longer take effect unless the provider knows of it already. */
export interface PaymentState extends PaymentRow {
  settled: boolean;
}

export interface NewPayment {
  id: string;
  key: string;
  order_id: string;
  user_id: string;
  amount: number;
  currency: string;
  provider: string;
}

/** How an attempt ended. */
export interface Ending {
  status: "captured" | "declined" | "failed" | "voided";
  provider_ref?: string;
  failure_code?: string;
}

/** Webhooks forgotten by one statement. */
const FORGET_BATCH = 5_000;

/** The statuses of payments_one_capture: an order has at most one payment in them. */
const LIVE = "('processing', 'captured', 'partially_refunded', 'refunded')";

/** The rows of payments.payments. Each write says in its condition what must still be true. */
export class PaymentStore {
  readonly #db: Database;
  readonly #columns: string;
  /** When the sweep looks at what is unfinished, and once more at what ended without a capture. */
  readonly #later: string;

  /** @param settleAfter ms after which a request that the provider doesn't know was never made */
  constructor(db: Database, settleAfter: number) {
    this.#db = db;
    this.#columns = `*, sent_at < clock_timestamp() - interval '${settleAfter} ms' AS settled`;
    this.#later = `now() + interval '${settleAfter} ms' + interval '30 s'`;
  }

  /**
   * Begins an attempt, whose first request the caller then sends.
   * @returns undefined if its key is taken, another attempt of the order is live, or the order is cancelled
   */
  async open(payment: NewPayment): Promise<PaymentState | undefined> {
    const { id, key, order_id, user_id, amount, currency, provider } = payment;
    return await this.#db.one<PaymentState>(
      `SELECT ${this.#columns} FROM payments.open_attempt($1, $2, $3, $4, $5, $6, $7, ${this.#later})`,
      [id, key, order_id, user_id, amount, currency, provider],
    );
  }

  /**
   * Leaves a tombstone, so that no attempt of the order begins from now on, and marks the live one: it goes back.
   * The lock is that of `open_attempt`.
   */
  async cancelOrder(orderId: string, reason: string): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await this.#db.rows("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [orderId], tx);
      await this.#db.rows(
        `INSERT INTO payments.cancelled_orders (order_id, reason) VALUES ($1, $2)
         ON CONFLICT DO NOTHING RETURNING order_id`,
        [orderId, reason],
        tx,
      );
      await this.#db.rows(
        `UPDATE payments.payments SET cancelled = true, check_at = coalesce(check_at, ${this.#later})
         WHERE order_id = $1 AND NOT cancelled AND status IN ${LIVE} RETURNING id`,
        [orderId],
        tx,
      );
    });
  }

  /** Why the order was cancelled; undefined if it wasn't. */
  async cancellationOf(orderId: string): Promise<string | undefined> {
    const sql = "SELECT reason FROM payments.cancelled_orders WHERE order_id = $1";
    return (await this.#db.one<{ reason: string }>(sql, [orderId]))?.reason;
  }

  async get(id: string): Promise<PaymentState> {
    const payment = await this.#find("id = $1", id);
    if (!payment) throw new Error(`Payment ${id} has gone`);
    return payment;
  }

  async byKey(key: string): Promise<PaymentState | undefined> {
    return await this.#find("key = $1", key);
  }

  /** The order's one payment that is under way or has captured. */
  async liveOf(orderId: string): Promise<PaymentState | undefined> {
    return await this.#find(`order_id = $1 AND status IN ${LIVE}`, orderId);
  }

  async #find(condition: string, value: string): Promise<PaymentState | undefined> {
    const sql = `SELECT ${this.#columns} FROM payments.payments WHERE ${condition}`;
    return await this.#db.one<PaymentState>(sql, [value]);
  }

  /**
   * Takes the right to send the charge once more.
   * @returns undefined if somebody else took it, the payment has ended, or its order was cancelled
   */
  async nextRequest({ id, requests }: PaymentState): Promise<PaymentState | undefined> {
    return await this.#db.one<PaymentState>(
      `UPDATE payments.payments SET requests = requests + 1, sent_at = clock_timestamp(),
         check_at = ${this.#later}, updated_at = now()
       WHERE id = $1 AND requests = $2 AND status = 'processing' AND NOT cancelled RETURNING ${this.#columns}`,
      [id, requests],
    );
  }

  /**
   * Ends an attempt. Of two who do, the first wins. That nothing was captured counts only if no request was sent
   * since the one that `payment` knows of; what the provider said of the key, always.
   * @returns the payment as it is now
   */
  async end(payment: PaymentState, ending: Ending): Promise<PaymentState> {
    const saidByProvider = ending.status === "captured" || ending.status === "declined";
    const ended = await this.#db.one<PaymentState>(
      `UPDATE payments.payments SET status = $3, provider_ref = $4, failure_code = $5, updated_at = now(),
         check_at = CASE WHEN cancelled THEN now() WHEN $3 NOT IN ('captured', 'declined') THEN ${this.#later} END
       WHERE id = $1 AND status = 'processing' AND ($6 OR requests = $2) RETURNING ${this.#columns}`,
      [
        payment.id,
        payment.requests,
        ending.status,
        ending.provider_ref ?? null,
        ending.failure_code ?? null,
        saidByProvider,
      ],
    );
    return ended ?? (await this.get(payment.id));
  }

  /** Hands a payment to the next sweep. */
  async checkNow(id: string): Promise<void> {
    await this.#db.rows("UPDATE payments.payments SET check_at = now() WHERE id = $1 RETURNING id", [id]);
  }

  /** Payments whose check is due; no other node gets them for a while. */
  async takeDue(limit: number): Promise<PaymentState[]> {
    return await this.#db.rows<PaymentState>(
      `UPDATE payments.payments SET check_at = ${this.#later} WHERE id IN (
         SELECT id FROM payments.payments WHERE check_at <= now() ORDER BY check_at LIMIT $1 FOR UPDATE SKIP LOCKED)
       RETURNING ${this.#columns}`,
      [limit],
    );
  }

  /** Nothing is left to do for this payment, unless somebody asked for a check meanwhile. */
  async leave(id: string): Promise<void> {
    await this.#db.rows(
      `UPDATE payments.payments SET check_at = NULL
       WHERE id = $1 AND status <> 'processing' AND check_at > now() RETURNING id`,
      [id],
    );
  }

  /** @returns whether this webhook has been handled before */
  async isEventKnown(provider: string, eventId: string): Promise<boolean> {
    const sql = "SELECT event_id FROM payments.webhook_events WHERE provider = $1 AND event_id = $2";
    return (await this.#db.one(sql, [provider, eventId])) !== undefined;
  }

  async rememberEvent(provider: string, eventId: string): Promise<void> {
    await this.#db.rows(
      `INSERT INTO payments.webhook_events (provider, event_id) VALUES ($1, $2)
       ON CONFLICT DO NOTHING RETURNING event_id`,
      [provider, eventId],
    );
  }

  /**
   * Forgets the webhooks received more than so many days ago, some thousand by each statement so that none holds many
   * rows. One that comes again after that is handled again, which changes nothing.
   * @param stop ends it between two statements
   */
  async forgetEvents(days: number, stop?: AbortSignal): Promise<void> {
    let forgotten: object[];
    do {
      forgotten = await this.#db.rows(
        `DELETE FROM payments.webhook_events WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM payments.webhook_events
           WHERE received_at < now() - make_interval(days => $1) LIMIT $2 FOR UPDATE SKIP LOCKED))
         RETURNING 1`,
        [days, FORGET_BATCH],
      );
    } while (forgotten.length === FORGET_BATCH && !stop?.aborted);
  }
}
