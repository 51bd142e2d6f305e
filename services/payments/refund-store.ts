import { NotRefundable, PaymentOutcomeUnknown, RefundTooLarge } from "../../lib/errors.ts";
import type { EventData, EventEnvelope } from "../../lib/events.ts";
import { idOf } from "../../lib/ids.ts";
import { toDecimal } from "../../lib/money.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { JobsThis } from "../../mixins/jobs.ts";
import { isCapture } from "./payment-view.ts";
import type { PaymentRow, RefundRow } from "./payments.model.ts";

/** A refund that is wanted. */
export interface RefundWish {
  paymentId: string;
  /** What the provider knows it by; a rest that begins anew with another sum has the sum added. */
  key: string;
  /** Integer minor units; undefined: all that is left. */
  amount: number | undefined;
  reason: string;
  /** The admin who wants it; null: the shop itself, for a cancelled order. */
  requestedBy: string | null;
}

/** A refund with the request that its caller is to send, unless it has succeeded. */
export interface RefundAttempt {
  refund: RefundRow;
  /** No other was sent since the refund began, or began anew. */
  isFirst: boolean;
}

export interface Refunded {
  refund: RefundRow;
  payment: PaymentRow;
  /** The event, if it was published by this call. */
  event?: EventEnvelope<"payment.refunded">;
}

const LATER = "now() + interval '30 seconds'";

/**
 * The rows of payments.refunds, and the sums of them that their payment carries: `refunding` of the pending ones,
 * `refunded` of those that succeeded. Together they never exceed what was captured, by a CHECK of the payment.
 */
export class RefundStore {
  readonly #db: Database;
  readonly #publish: JobsThis["publish"];

  constructor(db: Database, publish: JobsThis["publish"]) {
    this.#db = db;
    this.#publish = publish;
  }

  /**
   * Begins a refund, or takes up the one under this key: one that failed begins anew. A key is of one sum for ever, so that
   * whatever comes late under it is booked as what it was: a rest that has become another is another refund.
   * @returns it, pending and to be sent by the caller, or as it has succeeded
   * @throws NotRefundable, RefundTooLarge
   */
  async begin(wish: RefundWish): Promise<RefundAttempt> {
    return await this.#db.transaction(async (tx) => {
      const payment = await this.#lockPayment(wish.paymentId, tx);
      const known = await this.#db.rows<RefundRow>(
        "SELECT * FROM payments.refunds WHERE payment_id = $1 AND starts_with(key, $2) ORDER BY created_at",
        [payment.id, wish.key],
        tx,
      );
      const live = known.find(({ status }) => status !== "failed");
      if (live?.status === "succeeded") return { refund: live, isFirst: false };
      if (live) return { refund: await this.#nextRequest(live.id, tx), isFirst: false };

      const amount = refundable(payment, wish);
      const sameSum = known.find((refund) => refund.amount === amount);
      const key = sameSum?.key ?? (known.length === 0 ? wish.key : `${wish.key}:${amount}`);
      await this.#db.rows(
        "UPDATE payments.payments SET refunding = refunding + $2, updated_at = now() WHERE id = $1 RETURNING id",
        [payment.id, amount],
        tx,
      );
      // Requests are counted on: the answer to one of before can't be taken for one of these.
      const refund = await this.#written(
        `INSERT INTO payments.refunds AS known (id, payment_id, key, amount, reason, requested_by, check_at)
         VALUES ($1, $2, $3, $4, $5, $6, ${LATER})
         ON CONFLICT (key) DO UPDATE
           SET status = 'pending', requests = known.requests + 1, check_at = ${LATER}, updated_at = now()
         RETURNING *`,
        [idOf(`refund ${key}`), payment.id, key, amount, wish.reason, wish.requestedBy],
        tx,
      );
      return { refund, isFirst: true };
    });
  }

  /** The refunds of a payment that are pending, each to be sent once more by the caller. */
  async resumePending(paymentId: string): Promise<RefundAttempt[]> {
    return await this.#nextRequests(
      `UPDATE payments.refunds SET requests = requests + 1 WHERE payment_id = $1 AND status = 'pending' RETURNING *`,
      [paymentId],
    );
  }

  /** The refunds of a payment that are taken for failed. */
  async failedOf(paymentId: string): Promise<RefundRow[]> {
    return await this.#db.rows<RefundRow>(
      "SELECT * FROM payments.refunds WHERE payment_id = $1 AND status = 'failed' ORDER BY created_at",
      [paymentId],
    );
  }

  /** Pending refunds whose check is due, each to be sent once more; no other node gets them for a while. */
  async takeDue(limit: number): Promise<RefundAttempt[]> {
    return await this.#nextRequests(
      `UPDATE payments.refunds SET requests = requests + 1, check_at = ${LATER} WHERE id IN (
         SELECT id FROM payments.refunds WHERE check_at <= now() ORDER BY check_at LIMIT $1 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [limit],
    );
  }

  async byKey(key: string): Promise<RefundRow | undefined> {
    return await this.#db.one<RefundRow>("SELECT * FROM payments.refunds WHERE key = $1", [key]);
  }

  /**
   * The money has gone back. Written once, with its event, whoever is told of it how often; and also of one that was
   * taken for failed: the provider knows.
   * @throws PaymentOutcomeUnknown: it can't be noted yet
   */
  async succeed(refund: RefundRow, providerRef: string): Promise<Refunded> {
    return await this.#db.transaction(async (tx) => {
      const before = await this.#lockPayment(refund.payment_id, tx);
      const known = await this.#get(refund.id, tx);
      if (known.status === "succeeded") return { refund: known, payment: before };
      // Its sum was given free, and promised to another: one that the provider will refuse.
      const promised = before.refunded + before.refunding;
      if (known.status === "failed" && promised + known.amount > before.amount)
        throw new PaymentOutcomeUnknown({});
      const succeeded = await this.#written(
        `UPDATE payments.refunds SET status = 'succeeded', provider_ref = $2, check_at = NULL, updated_at = now()
         WHERE id = $1 RETURNING *`,
        [refund.id, providerRef],
        tx,
      );
      const payment = await this.#written<PaymentRow>(
        `UPDATE payments.payments SET refunding = refunding - $3, refunded = refunded + $2, updated_at = now(),
           status = CASE WHEN refunded + $2 = amount THEN 'refunded' ELSE 'partially_refunded' END
         WHERE id = $1 RETURNING *`,
        [refund.payment_id, known.amount, known.status === "pending" ? known.amount : 0],
        tx,
      );
      const data = eventData(succeeded, payment);
      const event_id = await this.#publish(tx, "payment.refunded", data);
      const occurred_at = succeeded.updated_at.toISOString();
      return {
        refund: succeeded,
        payment,
        event: { event_id, event: "payment.refunded", occurred_at, data },
      };
    });
  }

  /**
   * Nothing has gone back, and nothing will: gives the sum free, unless another request was sent after this one, which may
   * still succeed.
   * @returns the refund as it is now
   */
  async fail(refund: RefundRow): Promise<RefundRow> {
    return await this.#db.transaction(async (tx) => {
      await this.#lockPayment(refund.payment_id, tx);
      const failed = await this.#db.one<RefundRow>(
        `UPDATE payments.refunds SET status = 'failed', check_at = NULL, updated_at = now()
         WHERE id = $1 AND status = 'pending' AND requests = $2 RETURNING *`,
        [refund.id, refund.requests],
        tx,
      );
      if (!failed) return await this.#get(refund.id, tx);
      await this.#db.rows(
        "UPDATE payments.payments SET refunding = refunding - $2, updated_at = now() WHERE id = $1 RETURNING id",
        [refund.payment_id, failed.amount],
        tx,
      );
      return failed;
    });
  }

  /** Every transaction here locks the payment first: refunds of one payment queue up, and none deadlocks. */
  async #lockPayment(id: string, tx: Tx): Promise<PaymentRow> {
    return await this.#written<PaymentRow>(
      "SELECT * FROM payments.payments WHERE id = $1 FOR UPDATE",
      [id],
      tx,
    );
  }

  async #nextRequests(sql: string, values: readonly unknown[]): Promise<RefundAttempt[]> {
    const rows = await this.#db.rows<RefundRow>(sql, values);
    return rows.map((refund) => ({ refund, isFirst: false }));
  }

  async #nextRequest(id: string, tx: Tx): Promise<RefundRow> {
    const sql = "UPDATE payments.refunds SET requests = requests + 1 WHERE id = $1 RETURNING *";
    return await this.#written<RefundRow>(sql, [id], tx);
  }

  async #get(id: string, tx: Tx): Promise<RefundRow> {
    return await this.#written<RefundRow>("SELECT * FROM payments.refunds WHERE id = $1", [id], tx);
  }

  async #written<R extends object = RefundRow>(sql: string, values: readonly unknown[], tx: Tx): Promise<R> {
    const row = await this.#db.one<R>(sql, values, tx);
    if (!row) throw new Error("A row that is never deleted has gone");
    return row;
  }
}

/** How much this refund gives back. @throws NotRefundable, RefundTooLarge */
function refundable(payment: PaymentRow, { amount, requestedBy }: RefundWish): number {
  if (!isCapture(payment) || payment.status === "refunded")
    throw new NotRefundable({ status: payment.status });
  // The rest of a cancelled order's payment is on its way back already.
  if (payment.cancelled && requestedBy !== null) throw new NotRefundable({ status: "cancelled" });
  const rest = payment.amount - payment.refunded - payment.refunding;
  const wanted = amount ?? rest;
  if (wanted > rest || wanted === 0) throw new RefundTooLarge({ refundable: toDecimal(rest) });
  return wanted;
}

function eventData(refund: RefundRow, payment: PaymentRow): EventData<"payment.refunded"> {
  return {
    refund_id: refund.id,
    payment_id: payment.id,
    order_id: payment.order_id,
    user_id: payment.user_id,
    amount: refund.amount,
    refunded_total: payment.refunded,
    captured: payment.amount,
    currency: payment.currency,
    reason: refund.reason,
  };
}
