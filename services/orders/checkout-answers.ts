import { IdempotencyMismatch, ShopError } from "../../lib/errors.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { Order } from "./orders.contract.ts";
import type { Refusal } from "./saga.ts";

/** The first answer under a user's idempotency key, as it is kept. */
export type Answer = { order: Order } | { failure: Omit<Refusal, "step"> };

interface KeyRow {
  request_hash: string;
  order_id: string;
  answer: Answer | null;
}

/** Hours that an answer is given again. */
export const KEPT_HOURS = 24;

/** Idempotency keys of POST /orders: written with the order (checkout-writes.ts), answered with what decides it. */
export class CheckoutAnswers {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * What is known under this key.
   * @throws IdempotencyMismatch if it was another request
   */
  async find(
    userId: string,
    key: string,
    hash: string,
  ): Promise<{ orderId: string; answer: Answer | null } | undefined> {
    const row = await this.#db.one<KeyRow>(
      `SELECT request_hash, order_id, answer FROM orders.checkout_keys
       WHERE user_id = $1 AND key = $2 AND created_at > now() - make_interval(hours => ${KEPT_HOURS})`,
      [userId, key],
    );
    if (!row) return undefined;
    if (row.request_hash !== hash) throw new IdempotencyMismatch({});
    return { orderId: row.order_id, answer: row.answer };
  }

  /** Keeps the answer, if the order was made under a key and has none yet. */
  async keep(tx: Tx, orderId: string, answer: Answer): Promise<void> {
    await this.#db.rows(
      "UPDATE orders.checkout_keys SET answer = $2 WHERE order_id = $1 AND answer IS NULL RETURNING key",
      [orderId, JSON.stringify(answer)],
      tx,
    );
  }

  /** Forgets the key of an order that ended for a reason that may pass: a retry under it may place the order anew. */
  async free(tx: Tx, orderId: string): Promise<void> {
    await this.#db.rows("DELETE FROM orders.checkout_keys WHERE order_id = $1 RETURNING key", [orderId], tx);
  }

  /** Forgets keys past their time. */
  async sweep(): Promise<void> {
    await this.#db.rows(
      `DELETE FROM orders.checkout_keys WHERE created_at < now() - make_interval(hours => ${KEPT_HOURS}) RETURNING key`,
    );
  }
}

/** The failure that ended a checkout, as the client was or will be told. */
export function failureOf({ code, status, message, data }: Omit<Refusal, "step">): ShopError {
  return new ShopError(message, status, code, data, status >= 500);
}
