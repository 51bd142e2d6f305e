import { call } from "../../lib/call.ts";
import { done, type SagaDefinition, type Step } from "./saga.ts";
import type { SagaContext } from "./saga-context.ts";

/**
 * What follows when an order has been cancelled or refunded: the money goes back, then the goods. The order's status
 * has changed already, in the transaction that began this saga, so nothing can ship in between; there is no way back. If
 * a provider refuses the refund it is asked again, at last when an operator redrives the saga.
 */

const refund: Step<SagaContext> = {
  name: "refund",
  async run({ caller, db, orders, record, saga }) {
    const { refunded } = await call(caller, "payments.cancelOrder", {
      order_id: record.order.id,
      reason: saga.data.reason ?? record.order.status,
    });
    await db.transaction(async (tx) => await orders.noteRefunded(tx, record.order.id, refunded));
    return done;
  },
};

const giveBack: Step<SagaContext> = {
  name: "give back",
  async run({ caller, record, saga }) {
    if (saga.data.returns_stock) await call(caller, "inventory.giveBack", { order_id: record.order.id });
    return done;
  },
};

export const closingSaga: SagaDefinition<SagaContext> = {
  kind: "closing",
  steps: [refund, giveBack],
  async finished({ sagas, saga }) {
    await sagas.finish(saga);
  },
};
