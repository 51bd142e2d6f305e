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
import type { Database } from "../../lib/stores/database.ts";
import { ordersContract } from "../../services/orders/orders.contract.ts";
import { paymentsService } from "../../services/payments/payments.service.ts";
import type {
  ChargeRequest,
  PaymentProvider,
  RefundRequest,
} from "../../services/payments/providers/provider.ts";
import { Providers, providersOf } from "../../services/payments/providers/registry.ts";

type Charge = PaymentProvider["charge"];
type Refund = PaymentProvider["refund"];

/** The sandbox behind a provider that a test can make misbehave, order by order. */
export class UnreliableProvider implements PaymentProvider {
  readonly name: string;
  readonly settlesWithin = 300;
  readonly readWebhook: PaymentProvider["readWebhook"];
  readonly real: PaymentProvider;
  readonly db: Database;
  /** Every charge that was sent. */
  readonly sent: ChargeRequest[] = [];
  readonly #charges = new Map<string, (request: ChargeRequest, signal: AbortSignal) => ReturnType<Charge>>();
  #refund: ((request: RefundRequest, signal: AbortSignal) => ReturnType<Refund>) | undefined;

  #chargeLookupFails = false;
  #refundLookupFails = false;

  constructor(real: PaymentProvider, db: Database) {
    this.real = real;
    this.db = db;
    this.name = real.name;
    this.readWebhook = (rawBody, headers) => real.readWebhook(rawBody, headers);
  }

  /** What the charges of this order meet from now on. */
  onCharge(orderId: string, behaviour: (request: ChargeRequest, signal: AbortSignal) => ReturnType<Charge>) {
    this.#charges.set(orderId, behaviour);
  }

  /** What the next refund meets. */
  onNextRefund(behaviour: (request: RefundRequest, signal: AbortSignal) => ReturnType<Refund>) {
    this.#refund = behaviour;
  }

  async charge(request: ChargeRequest, signal: AbortSignal): ReturnType<Charge> {
    this.sent.push(request);
    const behaviour = this.#charges.get(request.orderId);
    return behaviour ? await behaviour(request, signal) : await this.real.charge(request, signal);
  }

  failNextChargeLookup() {
    this.#chargeLookupFails = true;
  }

  async lookupCharge(key: string, signal: AbortSignal): ReturnType<PaymentProvider["lookupCharge"]> {
    const fails = this.#chargeLookupFails;
    this.#chargeLookupFails = false;
    if (fails) throw new Error("no answer");
    return await this.real.lookupCharge(key, signal);
  }

  failNextRefundLookup() {
    this.#refundLookupFails = true;
  }

  async lookupRefund(key: string, signal: AbortSignal): ReturnType<PaymentProvider["lookupRefund"]> {
    const fails = this.#refundLookupFails;
    this.#refundLookupFails = false;
    if (fails) throw new Error("no answer");
    return await this.real.lookupRefund(key, signal);
  }

  async refund(request: RefundRequest, signal: AbortSignal): ReturnType<Refund> {
    const behaviour = this.#refund;
    this.#refund = undefined;
    return behaviour ? await behaviour(request, signal) : await this.real.refund(request, signal);
  }
}

/** The payments service with an {@link UnreliableProvider}, which `provider()` gives once the shop has been made. */
export function unreliablePayments(): { payments: ServiceFactory; provider: () => UnreliableProvider } {
  let made: UnreliableProvider | undefined;
  return {
    payments: paymentsService({
      makeProviders(config, db) {
        made = new UnreliableProvider(providersOf(config, db).active, db);
        return new Providers(made);
      },
      sweepEvery: 100,
    }),
    provider() {
      if (!made) throw new Error("Start the shop first.");
      return made;
    },
  };
}

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
