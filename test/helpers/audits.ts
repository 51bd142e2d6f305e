import { newId } from "../../lib/ids.ts";
import type { UndeliveredEvent } from "../../mixins/jobs.contract.ts";
import type { OrderRow, PaymentRow, ToldRow } from "../../services/gateway/verify-rules.ts";
import {
  inventoryContract,
  type OrderStock,
  type Violation,
} from "../../services/inventory/inventory.contract.ts";
import { notificationsContract } from "../../services/notifications/notifications.contract.ts";
import { ordersContract } from "../../services/orders/orders.contract.ts";
import { paymentsContract } from "../../services/payments/payments.contract.ts";
import { emptyQueues, fakeService } from "./fakes.ts";

const UNITS = "7×2";

/** What the services of a made-up shop say when they are audited, to be changed at will. */
export class FakeAudits {
  readonly orders = new Map<string, OrderRow>();
  readonly reservations = new Map<string, OrderStock>();
  readonly payments = new Map<string, PaymentRow>();
  readonly told = new Map<string, ToldRow[]>();
  stock: { checked: number; violations: Violation[] } = { checked: 12, violations: [] };
  paymentViolations: Violation[] = [];
  undelivered: UndeliveredEvent[] = [];
  /** Runs before each answer: what changes between two questions, or fails. By action. */
  before: Record<string, () => void> = {};
  /** How often each action was asked. */
  readonly asked: Record<string, number> = {};

  /** No orders, and nothing that is known of any. */
  clear(): void {
    for (const rows of [this.orders, this.reservations, this.payments, this.told]) rows.clear();
  }

  /** A confirmed, paid order; its units are sold, its customer was told. @returns its id */
  order(fields: Partial<OrderRow> = {}): string {
    const order_id = fields.order_id ?? newId();
    const number = `MC-${String(this.orders.size + 1).padStart(6, "0")}`;
    const sound = {
      status: "confirmed" as const,
      total: 2999,
      refunded: 0,
      paid: true,
      offline: false,
      units: UNITS,
    };
    const still = { saga: null, saga_age_ms: null, overdue_ms: null, telling: false };
    this.orders.set(order_id, { order_id, number, ...sound, ...still, ...fields });
    this.reservations.set(order_id, { order_id, state: "committed", units: UNITS });
    const captured = fields.total ?? 2999;
    this.payments.set(order_id, { order_id, captures: 1, captured, refunded: 0, processing: 0 });
    this.told.set(order_id, [{ order_id, type: "order.confirmed", count: 1 }]);
    return order_id;
  }

  /** An event that orders published and nobody took. */
  lose(state: UndeliveredEvent["state"], event: string, seconds: number): void {
    const since = new Date(Date.now() - seconds * 1000).toISOString();
    const fields = {
      subscriber: "analytics",
      event,
      event_id: newId(),
      occurred_at: since,
      since,
      due_at: since,
    };
    this.undelivered.push({ id: newId(), state, ...fields, attempts: 3, last_error: null, data: {} });
  }

  change(id: string, fields: Partial<OrderRow>): void {
    const order = this.orders.get(id);
    if (order) this.orders.set(id, { ...order, ...fields });
  }

  hold(id: string, state: OrderStock["state"]): void {
    const reservation = this.reservations.get(id);
    if (reservation) this.reservations.set(id, { ...reservation, state });
  }

  pay(id: string, fields: Partial<PaymentRow>): void {
    const payment = this.payments.get(id);
    if (payment) this.payments.set(id, { ...payment, ...fields });
  }

  #ask(action: string): void {
    this.asked[action] = (this.asked[action] ?? 0) + 1;
    this.before[action]?.();
  }

  readonly services = {
    inventory: fakeService(inventoryContract, {
      ...emptyQueues("inventory"),
      audit: async () => {
        this.#ask("inventory.audit");
        return this.stock;
      },
      auditOrders: async (ctx) => {
        this.#ask("inventory.auditOrders");
        return between(this.reservations, ctx.params.order_ids);
      },
    }),
    orders: fakeService(ordersContract, {
      audit: async (ctx) => {
        this.#ask("orders.audit");
        const { after = "", limit } = ctx.params;
        const rows = [...this.orders.values()].sort((a, b) => (a.order_id < b.order_id ? -1 : 1));
        const page = rows.filter(({ order_id }) => order_id > after).slice(0, limit);
        return { orders: page, next: page.length === limit ? (page.at(-1)?.order_id ?? null) : null };
      },
      undeliveredEvents: async (ctx) => {
        this.#ask("orders.undeliveredEvents");
        const events = this.undelivered.filter(({ state }) => state === ctx.params.state);
        const count = (kind: string) => events.filter(({ state }) => state === kind).length;
        return { database: "orders", checked: 34, dead: count("dead"), late: count("late"), events };
      },
    }),
    payments: fakeService(paymentsContract, {
      ...emptyQueues("payments"),
      audit: async (ctx) => {
        this.#ask("payments.audit");
        const { order_ids } = ctx.params;
        return {
          orders: between(this.payments, order_ids),
          violations: this.paymentViolations.filter(({ row }) => order_ids.includes(String(row.order_id))),
        };
      },
    }),
    notifications: fakeService(notificationsContract, {
      audit: async (ctx) => {
        this.#ask("notifications.audit");
        return ctx.params.order_ids.flatMap((id) => this.told.get(id) ?? []);
      },
    }),
  };
}

/** The rows of these orders, and up to 100 between them, as the services have it. */
function between<R extends { order_id: string }>(rows: ReadonlyMap<string, R>, orderIds: string[]): R[] {
  const asked = new Set(orderIds);
  const [first = "", last = ""] = [orderIds.toSorted().at(0), orderIds.toSorted().at(-1)];
  const others = [...rows.values()]
    .filter(({ order_id: id }) => first <= id && id <= last && !asked.has(id))
    .sort((a, b) => (a.order_id < b.order_id ? -1 : 1));
  return [...orderIds.flatMap((id) => rows.get(id) ?? []), ...others.slice(0, 100)];
}
