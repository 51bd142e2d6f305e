import type { ResultOf } from "../../lib/contract.ts";
import { madeAt } from "../../lib/ids.ts";
import { toDecimal } from "../../lib/money.ts";
import type { OrderStock, Violation } from "../inventory/inventory.contract.ts";
import type { notificationsContract } from "../notifications/notifications.contract.ts";
import type { ordersContract } from "../orders/orders.contract.ts";
import type { paymentsContract } from "../payments/payments.contract.ts";

/** What one order must be like, as far as its own row, its stock, its payments and its messages tell. Amounts are minor units. */

export type OrderRow = ResultOf<typeof ordersContract.actions.audit>["orders"][number];
export type PaymentRow = ResultOf<typeof paymentsContract.actions.audit>["orders"][number];
export type ToldRow = ResultOf<typeof notificationsContract.actions.audit>[number];

/** ms an order may be in motion, or wait past its reservation, before it counts as stuck. */
const STUCK_AFTER = 120_000;
/** ms within which an event may still be on its way. */
const TOLD_WITHIN = 60_000;
/** ms after which its messages may have been forgotten: the least of NOTIFICATION_RETENTION_DAYS. */
const TOLD_FOR = 60 * 86_400_000;

/** The saga is at work: money and stock may be anywhere between two steps. */
const MOVING = new Set(["running", "compensating"]);
const HELD = new Set(["waiting", "parked"]);
const UNPAID = new Set<OrderRow["status"]>(["pending", "cancelled", "refunded"]);
const WAS_CONFIRMED = new Set<OrderRow["status"]>([
  "confirmed",
  "processing",
  "shipped",
  "delivered",
  "refunded",
]);

/** What a reservation in this state has made of an order's units. */
const HELD_AS = { reserved: "reserved", committed: "sold" } as const;

export function isMoving(order: OrderRow): boolean {
  return MOVING.has(order.saga ?? "");
}

/** I2: at most one capture; captured less refunded is the total of a paid order, else nothing. Unpaid, an admin confirmed it. */
export function judgeMoney(order: OrderRow, payment: PaymentRow | undefined): Violation[] {
  const { captures, captured, refunded } = payment ?? { captures: 0, captured: 0, refunded: 0 };
  if (captures > 1) return [violation("I2", order, `was captured ${captures} times`, { captures })];
  if (isMoving(order)) return [];
  const row = { captured, refunded_by_payments: refunded };
  if (UNPAID.has(order.status) || !order.paid) {
    if (captured !== refunded) {
      const kept = toDecimal(captured - refunded).toFixed(2);
      return [violation("I2", order, `is ${order.status} and ${kept} of it is kept`, row)];
    }
    if (order.paid || order.offline || !WAS_CONFIRMED.has(order.status)) return [];
    return [violation("I2", order, `is ${order.status} without a payment, and no admin confirmed it`, row)];
  }
  if (captured !== order.total) {
    const [paid, total] = [captured, order.total].map((minor) => toDecimal(minor).toFixed(2));
    return [violation("I2", order, `comes to ${total} and ${paid} was captured`, row)];
  }
  if (refunded === order.refunded) return [];
  return [violation("I2", order, "knows of other refunds than its payment", row)];
}

/** I3: every order reaches a final or a waiting state in bounded time. */
export function judgeProgress(order: OrderRow): Violation[] {
  const { saga, saga_age_ms, overdue_ms } = order;
  if (saga === "parked")
    return [violation("I3", order, "is parked: its saga gave up and waits for an operator", {})];
  if (isMoving(order) && (saga_age_ms ?? 0) > STUCK_AFTER) {
    return [violation("I3", order, `has been under way for ${seconds(saga_age_ms)}`, {})];
  }
  if ((overdue_ms ?? 0) > STUCK_AFTER) {
    return [violation("I3", order, `waits for its payment ${seconds(overdue_ms)} past its reservation`, {})];
  }
  if (order.status === "pending" && !isMoving(order) && !HELD.has(saga ?? "")) {
    return [violation("I3", order, "is pending and nothing drives it", {})];
  }
  return [];
}

/** I4: an order that waits has its units reserved, one that was confirmed has bought them, a cancelled one has none. */
export function judgeStock(order: OrderRow, stock: OrderStock | undefined): Violation[] {
  // Of a saga that gave up they may be anywhere, too: I3 tells of it.
  if (isMoving(order) || order.saga === "parked") return [];
  const { status, units } = order;
  const found = stock?.state;
  const row = { reservation: found ?? null, reserved_units: stock?.units ?? "" };
  if (status === "cancelled") {
    if (found !== "reserved" && found !== "committed") return [];
    return [violation("I4", order, `is cancelled and its units are still ${HELD_AS[found]}`, row)];
  }
  const wanted = WAS_CONFIRMED.has(status) ? "committed" : "reserved";
  const as = HELD_AS[wanted];
  if (found !== wanted) return [violation("I4", order, `is ${status} and its units are not ${as}`, row)];
  if (stock?.units === units) return [];
  return [violation("I4", order, `is ${status} and other units are ${as} than it has`, row)];
}

/** I5: no event was told twice, and whoever has a confirmed order knows it, unless that is still on its way. */
export function judgeTold(order: OrderRow, told: readonly ToldRow[], now: number): Violation[] {
  const repeated = told
    .filter(({ count }) => count > 1)
    .map(({ type, count }) => violation("I5", order, `was told of ${type} ${count} times`, { type, count }));
  const age = now - madeAt(order.order_id);
  const isKnown = age > TOLD_WITHIN && age < TOLD_FOR;
  const isUntold = !told.some(({ type }) => type === "order.confirmed");
  if (WAS_CONFIRMED.has(order.status) && !isMoving(order) && !order.telling && isKnown && isUntold) {
    repeated.push(violation("I5", order, "was confirmed and its customer was not told", {}));
  }
  return repeated;
}

/** I2 and I4: what was captured, and what is held or sold, is so of an order that exists. @param known the orders asked for */
export function judgeStrays(
  known: ReadonlySet<string>,
  payments: readonly PaymentRow[],
  stock: readonly OrderStock[],
): Violation[] {
  const isStray = ({ order_id }: { order_id: string }) => !known.has(order_id);
  return [
    ...payments.filter(isStray).map((row) => {
      const message = `An order that does not exist captured ${toDecimal(row.captured).toFixed(2)}.`;
      return { invariant: "I2", message, row };
    }),
    ...stock.filter(isStray).map((row) => {
      const message = `An order that does not exist has units ${row.state === "committed" ? "sold" : "reserved"}.`;
      return { invariant: "I4", message, row };
    }),
  ];
}

function violation(invariant: string, order: OrderRow, what: string, row: object): Violation {
  return { invariant, message: `Order ${order.number} ${what}.`, row: { ...order, ...row } };
}

const seconds = (ms: number | null) => `${Math.round((ms ?? 0) / 1000)} s`;

/** The largest UUID below this one: what `after` must be so that a page begins with it. */
export function before(uuid: string): string {
  const below = BigInt(`0x${uuid.replaceAll("-", "")}`) - 1n;
  const hex = below.toString(16).padStart(32, "0");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
