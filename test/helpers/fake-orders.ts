import { randomBytes } from "node:crypto";
import { call } from "../../lib/call.ts";
import {
  InvalidPaymentMethod,
  NotFound,
  OrderNotPayable,
  PaymentDeclined,
  PaymentProviderUnavailable,
} from "../../lib/errors.ts";
import type { EventEnvelope } from "../../lib/events.ts";
import { newId } from "../../lib/ids.ts";
import { principalOf } from "../../lib/meta.ts";
import { defineService, type ServiceFactory } from "../../lib/service.ts";
import { ordersContract } from "../../services/orders/orders.contract.ts";

interface FakeOrder {
  user_id: string;
  total: number;
  status: "pending" | "confirmed";
  attempts: number;
}

/** Orders as payments knows it: who owns an order, paying it, being told of refunds. Nothing is stored. */
export class FakeOrders {
  readonly orders = new Map<string, FakeOrder>();
  /** The refunds that orders was told of, in order. */
  readonly told: EventEnvelope<"payment.refunded">[] = [];
  /** Runs before `orders.pay` does anything. */
  beforePay: () => Promise<void> = async () => {};
  /** Runs after it has paid, before it answers. */
  afterPay: () => Promise<void> = async () => {};

  /** @param total integer minor units @returns its id */
  add(userId: string, total = 2999): string {
    const id = newId();
    this.orders.set(id, { user_id: userId, total, status: "pending", attempts: 0 });
    return id;
  }

  service(): ServiceFactory {
    const fake = this;
    const missing = (name: string) => async () => {
      throw new Error(`These tests need no orders.${name}`);
    };
    return defineService(ordersContract)({
      actions: {
        async get(ctx) {
          const user = principalOf(ctx.meta);
          const { id } = ctx.params;
          const order = fake.orders.get(id);
          if (!order || (order.user_id !== user.id && user.role !== "admin"))
            throw new NotFound({ what: "order", id });
          return orderView(id, order);
        },
        async pay(ctx) {
          const { order_id, user_id, payment_method } = ctx.params;
          const order = fake.orders.get(order_id);
          if (order?.user_id !== user_id) throw new NotFound({ what: "order", id: order_id });
          if (order.status !== "pending") throw new OrderNotPayable({ status: order.status });
          await fake.beforePay();
          const { outcome, payment_id, reason } = await call(ctx, "payments.charge", {
            key: `${order_id}:charge:${++order.attempts}`,
            order_id,
            user_id,
            amount: order.total,
            currency: "EUR",
            payment_method,
          });
          if (outcome === "declined") throw new PaymentDeclined({ reason: reason ?? "" });
          if (outcome === "invalid_method") throw new InvalidPaymentMethod({ payment_method });
          if (outcome === "unavailable") throw new PaymentProviderUnavailable({ retry_after: 10 });
          if (outcome === "voided" || payment_id === null) throw new OrderNotPayable({ status: "cancelled" });
          order.status = "confirmed";
          await fake.afterPay();
          return { payment_id };
        },
        async onPaymentRefunded(ctx) {
          fake.told.push(ctx.params);
          return null;
        },
        checkout: missing("checkout"),
        list: missing("list"),
        history: missing("history"),
        cancel: missing("cancel"),
        setStatus: missing("setStatus"),
        listAll: missing("listAll"),
        listByUser: missing("listByUser"),
        sagas: missing("sagas"),
        redriveSaga: missing("redriveSaga"),
        audit: missing("audit"),
        figures: missing("figures"),
        undeliveredEvents: missing("undeliveredEvents"),
        redriveEvents: missing("redriveEvents"),
        queueFigures: missing("queueFigures"),
      },
    });
  }
}

function orderView(id: string, order: FakeOrder) {
  const now = new Date().toISOString();
  return {
    id,
    number: `MC-${randomBytes(3).toString("hex")}`,
    user_id: order.user_id,
    status: order.status,
    items: [],
    subtotal: order.total / 100,
    shipping: 0,
    tax: 0,
    total_amount: order.total / 100,
    refunded_amount: 0,
    currency: "EUR",
    shipping_address: "12 Analytical Row",
    payment: null,
    reserved_until: null,
    cancel_reason: null,
    synthetic: false,
    created_at: now,
    updated_at: now,
    history: [],
  };
}
