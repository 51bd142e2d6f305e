import { ServiceBroker } from "moleculer";
import { brokerOptions } from "../../lib/broker.ts";
import { call } from "../../lib/call.ts";
import { loadConfig } from "../../lib/config.ts";
import { newId } from "../../lib/ids.ts";
import type { ChargeRequest } from "../../services/payments/charge.ts";
import { SECRETS, TEST_ENV } from "./env.ts";
import { PATIENT, type UnreliableProvider, unreliablePayments } from "./payments.ts";
import { type Shop, startShop } from "./shop.ts";

/** What `payments.charge` is asked for: 29.99 for an order of its own. */
export function charging(payment_method = "pm_card_visa", order_id = newId(), attempt = 1): ChargeRequest {
  return {
    key: `${order_id}:charge:${attempt}`,
    order_id,
    user_id: newId(),
    amount: 2999,
    currency: "EUR",
    payment_method,
  };
}

/** A shop whose charges go to an {@link UnreliableProvider}. */
export class Charges {
  readonly shop: Shop;
  readonly provider: UnreliableProvider;

  constructor(shop: Shop, provider: UnreliableProvider) {
    this.shop = shop;
    this.provider = provider;
  }

  /** @param env such as `PAYMENT_TIMEOUT`; without it, none is too slow */
  static async start(env: Record<string, string> = PATIENT): Promise<Charges> {
    const unreliable = unreliablePayments();
    const shop = await startShop({ env, replace: { payments: unreliable.payments } });
    return new Charges(shop, unreliable.provider());
  }

  charge(request: ChargeRequest) {
    return this.shop.call("payments.charge", request);
  }

  cancel(order_id: string) {
    return this.shop.call("payments.cancelOrder", { order_id, reason: "cancelled_by_customer" });
  }

  /** What the provider keeps of an order, in minor units, and in how many charges. */
  async books(orderId: string) {
    return await this.provider.db.one<{ charges: number; captured: number; refunded: number }>(
      `SELECT count(c.key)::int AS charges, coalesce(sum(c.amount), 0)::int AS captured,
              coalesce((SELECT sum(r.amount) FROM payments.sandbox_refunds r
                        JOIN payments.sandbox_charges x ON x.ref = r.charge_ref WHERE x.order_id = $1), 0)::int AS refunded
       FROM payments.sandbox_charges c WHERE c.order_id = $1 AND c.declined IS NULL`,
      [orderId],
    );
  }

  /** The shop's own attempts of an order. */
  async payments(orderId: string) {
    return await this.provider.db.rows<{ status: string; failure_code: string | null; refunded: number }>(
      "SELECT status, failure_code, refunded FROM payments.payments WHERE order_id = $1 ORDER BY id",
      [orderId],
    );
  }

  /** As if the order's last request had been sent an hour ago: where the provider doesn't know it, it was never made. */
  async sentLongAgo(orderId: string) {
    await this.provider.db.rows(
      "UPDATE payments.payments SET sent_at = now() - interval '1 hour' WHERE order_id = $1 RETURNING id",
      [orderId],
    );
  }

  /** The same, and the sweep looks at it at once. */
  async checkIsDue(orderId: string) {
    await this.sentLongAgo(orderId);
    await this.provider.db.rows(
      "UPDATE payments.payments SET check_at = now() WHERE order_id = $1 RETURNING id",
      [orderId],
    );
  }

  /** The provider captures the next charge of this order, and its answer is lost. */
  loseAnswer(orderId: string) {
    this.provider.onCharge(orderId, async (asked, signal) => {
      await this.provider.real.charge(asked, signal);
      throw new Error("no answer");
    });
  }

  /** Charges on a second node, on the same database, that dies around the capture: nothing is written after it. */
  async chargeAndDie(request: ChargeRequest, moment: "before" | "after") {
    const unreliable = unreliablePayments();
    const config = loadConfig(
      { ...TEST_ENV, ...PATIENT, SERVICES: "payments" },
      { databaseUrl: this.shop.databaseUrl, secrets: SECRETS },
    );
    const broker = new ServiceBroker({ ...brokerOptions(config), nodeID: `dying-${newId()}` });
    broker.createService(unreliable.payments(broker));
    await broker.start();
    const dying = unreliable.provider();
    dying.onCharge(request.order_id, async (asked, signal) => {
      if (moment === "after") await dying.real.charge(asked, signal);
      await dying.db.sequelize.close();
      throw new Error("dead");
    });
    const answer = await call({ broker, name: "test" }, "payments.charge", request).then(
      () => "it lived",
      () => undefined,
    );
    await broker.stop();
    if (answer !== undefined) throw new Error("The node was to die.");
  }
}
