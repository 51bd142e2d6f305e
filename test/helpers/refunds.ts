import { newId } from "../../lib/ids.ts";
import { send, type TestUser } from "./client.ts";
import type { UnreliableProvider } from "./payments.ts";
import type { Shop } from "./shop.ts";

interface Desk {
  shop: Shop;
  provider: UnreliableProvider;
  user: TestUser;
  /** An access token of the admin's. */
  admin: string;
}

/** What an admin does to refund, and what is seen of it; the shop may come later. */
export function refundsOf(desk: () => Desk) {
  return {
    /** A payment of 29.99. @returns its id */
    async givenPayment(method = "pm_card_visa"): Promise<string> {
      const { shop, user } = desk();
      const order_id = newId();
      const { payment_id } = await shop.call("payments.charge", {
        key: `${order_id}:charge:1`,
        order_id,
        user_id: user.id,
        amount: 2999,
        currency: "EUR",
        payment_method: method,
      });
      return String(payment_id);
    },

    async refund(paymentId: string, body: object, key?: string) {
      const { shop, admin } = desk();
      return await send(shop, "POST", `/api/payments/${paymentId}/refund`, body, {
        token: admin,
        headers: key === undefined ? {} : { "idempotency-key": key },
      });
    },

    async get(paymentId: string) {
      const { shop, user } = desk();
      return await send(shop, "GET", `/api/payments/${paymentId}`, undefined, { token: user.token });
    },

    async cancel(paymentId: string) {
      const { shop, user } = desk();
      const payment = await send(shop, "GET", `/api/payments/${paymentId}`, undefined, { token: user.token });
      const order_id = String(payment.at("payment", "order_id"));
      return await shop.call("payments.cancelOrder", { order_id, reason: "x" });
    },

    /** The sweep looks at once at the refunds of this payment, or at those of this many minor units. */
    async checkIsDue(paymentId: string, amount?: number): Promise<void> {
      await desk().provider.db.rows(
        `UPDATE payments.refunds SET check_at = now()
         WHERE payment_id = $1 AND amount = coalesce($2::integer, amount) RETURNING id`,
        [paymentId, amount ?? null],
      );
    },

    /** What the provider gave back of a payment: how often, and minor units in all. */
    async givenBack(paymentId: string) {
      return await desk().provider.db.one(
        `SELECT count(r.key)::int AS times, coalesce(sum(r.amount), 0)::int AS amount FROM payments.sandbox_refunds r
         JOIN payments.payments p ON p.provider_ref = r.charge_ref WHERE p.id = $1`,
        [paymentId],
      );
    },
  };
}
