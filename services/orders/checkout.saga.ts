import { call } from "../../lib/call.ts";
import {
  InvalidPaymentMethod,
  OrderNotPayable,
  PaymentDeclined,
  PaymentProviderUnavailable,
} from "../../lib/errors.ts";
import { confirmOrder } from "./checkout-writes.ts";
import { done, refused, type SagaDefinition, type Step, wait } from "./saga.ts";
import { keepAnswer, type SagaContext } from "./saga-context.ts";

/**
 * The checkout: reserve → (wait for the payment) → charge → confirm → commit. Up to `confirm` a refusal undoes what was
 * done; from `confirm` on the saga only goes forward.
 *
 * Every transaction here and in changes.ts locks the order's row first and its saga's second, so they can't deadlock.
 */

/** Long enough to pay in, even if the order had almost outlived its reservation when the payment began. */
const PAYING_SECONDS = 300;

const reserve: Step<SagaContext> = {
  name: "reserve",
  async run({ caller, record, saga, config }) {
    const seconds = saga.data.pays_later ? PAYING_SECONDS : config.RESERVATION_TTL;
    await call(caller, "inventory.reserve", {
      order_id: record.order.id,
      items: record.items.map(({ product_id, quantity }) => ({ product_id, quantity })),
      expires_at: new Date(Date.now() + seconds * 1000).toISOString(),
    });
    return done;
  },
  async undo({ caller, record }) {
    await call(caller, "inventory.release", { order_id: record.order.id });
  },
};

/** An order without a payment stands here, its stock reserved, until it is paid, cancelled or too old. */
const awaitPayment: Step<SagaContext> = {
  name: "await payment",
  async run(context) {
    const { db, orders, sagas, saga, record, config } = context;
    if (saga.data.payment_method !== undefined || saga.data.offline) return done;
    const { id } = record.order;
    const now = await db.transaction(async (tx) => {
      const until = new Date(Date.now() + config.RESERVATION_TTL * 1000);
      const placed = await orders.markPlaced(tx, id, until);
      await sagas.suspend(tx, saga);
      if (!placed) return undefined;
      await sagas.expireAt(tx, id, until);
      await keepAnswer(context, tx, id, placed);
      return placed;
    });
    // Placed before: the answer to that COMMIT was lost.
    context.record = now ?? (await orders.get(id));
    return wait;
  },
};

const charge: Step<SagaContext> = {
  name: "charge",
  async run(context) {
    const { caller, record } = context;
    const { data } = context.saga;
    if (data.payment_method === undefined) return done;
    const { order } = record;
    const { outcome, payment_id, provider, reason } = await call(caller, "payments.charge", {
      key: `${order.id}:charge:${data.charge_attempt ?? 1}`,
      order_id: order.id,
      user_id: order.user_id,
      amount: order.total,
      currency: order.currency,
      payment_method: data.payment_method,
    });
    switch (outcome) {
      case "captured":
        if (payment_id === null) throw new Error("A captured payment has an id");
        context.payment = { id: payment_id, provider };
        return done;
      case "declined":
        return refused(new PaymentDeclined({ reason: reason ?? "card_declined" }));
      case "invalid_method":
        return refused(new InvalidPaymentMethod({ payment_method: data.payment_method }));
      case "unavailable":
        return refused(new PaymentProviderUnavailable({ retry_after: 10 }));
      case "voided":
        return refused(new OrderNotPayable({ status: "cancelled" }));
    }
  },
  async undo({ caller, record }, { code }) {
    await call(caller, "payments.cancelOrder", { order_id: record.order.id, reason: code });
  },
};

/** The pivot: from here on the order is the customer's. */
const confirm: Step<SagaContext> = {
  name: "confirm",
  async run(context) {
    context.record = await confirmOrder(context, commit.name);
    return done;
  },
};

const commit: Step<SagaContext> = {
  name: "commit",
  async run({ caller, record }) {
    await call(caller, "inventory.commit", { order_id: record.order.id });
    return done;
  },
};

export const checkoutSaga: SagaDefinition<SagaContext> = {
  kind: "checkout",
  steps: [reserve, awaitPayment, charge, confirm, commit],

  async finished({ sagas, saga }) {
    await sagas.finish(saga);
  },

  async undone(context, refusal) {
    const { db, orders, sagas, saga, record } = context;
    await db.transaction(async (tx) => {
      const reason = refusal.code.toLowerCase();
      await orders.move(tx, record.order.id, "cancelled", "system", { reason, cancel_reason: reason });
      await sagas.undone(tx, saga);
      await keepAnswer(context, tx, record.order.id, refusal);
    });
  },

  /** A waiting order whose card was declined can be paid with another until its reservation ends. */
  async waitsAfter({ db, sagas, saga, record: { order } }, refusal) {
    if (!saga.data.pays_later || refusal.step !== "charge" || refusal.code === OrderNotPayable.code)
      return false;
    const until = new Date(order.reserved_until ?? 0);
    await db.transaction(async (tx) => {
      await sagas.suspend(tx, saga);
      // While a payment has no outcome, the job that cancels the order may have come to the end of its tries.
      if (until <= new Date()) await sagas.expireAt(tx, order.id, until);
    });
    return true;
  },
};
