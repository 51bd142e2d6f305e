import type { Caller } from "../../lib/call.ts";
import {
  InvalidTransition,
  NotFound,
  OrderInProgress,
  OrderNotPayable,
  OrderOutcomeUnknown,
} from "../../lib/errors.ts";
import type { EventData } from "../../lib/events.ts";
import type { Tx } from "../../lib/stores/database.ts";
import { failureOf } from "./checkout-answers.ts";
import { canBecome, ORDER_TRANSITIONS, type OrderStatus } from "./order-state.ts";
import type { Actor, OrderRecord } from "./order-store.ts";
import type { OrderAttributes } from "./orders.model.ts";
import type { OrdersParts } from "./saga-context.ts";
import { driveSaga, goesOn, WHILE_ASKED } from "./saga-driver.ts";
import type { SagaData, SagaRow } from "./saga-records.ts";

/** What changes an order after it was placed. Each begins with one transaction that locks the order's row. */

interface Change {
  actor: Actor;
  /** Only if the order is theirs. */
  userId?: string;
  reason?: string;
}

/**
 * Cancels or refunds an order: its status changes at once, then money and goods go back.
 * @throws NotFound, InvalidTransition, OrderInProgress
 */
export async function closeOrder(
  parts: OrdersParts,
  caller: Caller,
  orderId: string,
  to: "cancelled" | "refunded",
  change: Change,
): Promise<void> {
  const begun = await parts.db.transaction(async (tx) => {
    const order = await lockOwn(parts, tx, orderId, change.userId);
    const moved = await begin(parts, tx, order, to, change);
    if (!moved) throw invalid(order.status, to);
    return moved;
  });
  await finishClosing(parts, caller, begun);
}

/** Moves the order and writes the saga that returns money and goods. @returns undefined if its status doesn't allow it */
async function begin(
  parts: OrdersParts,
  tx: Tx,
  order: OrderAttributes,
  to: "cancelled" | "refunded",
  change: Change,
) {
  if (!canBecome(order.status, to)) return undefined;
  const live = await parts.sagas.live(tx, order.id);
  if (live && live.state !== "waiting") throw new OrderInProgress({});
  if (live) await parts.sagas.close(tx, live.id);
  const reason = change.reason ?? null;
  const record = await parts.orders.move(tx, order.id, to, change.actor, {
    reason,
    cancel_reason: to === "cancelled" ? reason : null,
  });
  if (!record) return undefined;
  const saga = await parts.sagas.begin(tx, order.id, "closing", {
    actor: change.actor,
    returns_stock: to === "cancelled",
    reason: change.reason ?? to,
  });
  return { record, saga };
}

/** The order is cancelled already; if money or goods can't go back right now, the job sees to it. */
async function finishClosing(
  parts: OrdersParts,
  caller: Caller,
  { record, saga }: { record: OrderRecord; saga: SagaRow },
): Promise<void> {
  try {
    await driveSaga(parts, caller, saga, record, WHILE_ASKED);
  } catch (error) {
    if (!goesOn(error)) throw error;
  }
}

/**
 * Pays a waiting order: takes its checkout up again with a payment method.
 * @returns the payment's id
 * @throws OrderNotPayable, OrderInProgress, the payment's refusal, OrderOutcomeUnknown
 */
export async function payOrder(
  parts: OrdersParts,
  caller: Caller,
  orderId: string,
  userId: string,
  paymentMethod: string,
): Promise<string> {
  const record = await resumeCheckout(parts, caller, orderId, { actor: "customer", userId }, (data) => ({
    ...data,
    pays_later: true,
    payment_method: paymentMethod,
    charge_attempt: (data.charge_attempt ?? 0) + 1,
  }));
  if (record.order.payment_id === null) throw new Error(`Order ${orderId} was paid without a payment`);
  return record.order.payment_id;
}

/** An admin takes the order on without a payment through us (an invoice, a bank transfer). */
export async function confirmUnpaid(
  parts: OrdersParts,
  caller: Caller,
  orderId: string,
  reason?: string,
): Promise<void> {
  await resumeCheckout(parts, caller, orderId, { actor: "admin" }, (data) => ({
    ...data,
    actor: "admin",
    pays_later: true,
    offline: true,
    ...(reason === undefined ? {} : { reason }),
  }));
}

async function resumeCheckout(
  parts: OrdersParts,
  caller: Caller,
  orderId: string,
  { userId }: Change,
  change: (data: SagaData) => SagaData,
): Promise<OrderRecord> {
  const resumed = await parts.db.transaction(async (tx) => {
    const order = await lockOwn(parts, tx, orderId, userId);
    if (order.status !== "pending") throw new OrderNotPayable({ status: order.status });
    const live = await parts.sagas.live(tx, orderId);
    if (live?.state !== "waiting") throw new OrderInProgress({});
    // Its expiry is due: whoever comes first, the payment or the cancellation, holds the row's lock now.
    if (order.reserved_until !== null && new Date(order.reserved_until) <= new Date()) {
      throw new OrderNotPayable({ status: "expired" });
    }
    return await parts.sagas.resume(tx, live.id, change(live.data));
  });
  if (!resumed) throw new OrderInProgress({});
  try {
    const { result, record } = await driveSaga(
      parts,
      caller,
      resumed,
      await parts.orders.get(orderId),
      WHILE_ASKED,
    );
    if (result.kind !== "finished" && result.refusal) throw failureOf(result.refusal);
    return record;
  } catch (error) {
    if (goesOn(error)) throw new OrderOutcomeUnknown({});
    throw error;
  }
}

/** Moves an order along (processing, shipped, delivered). @throws NotFound, InvalidTransition */
export async function moveOrder(
  parts: OrdersParts,
  orderId: string,
  to: OrderStatus,
  reason?: string,
): Promise<void> {
  await parts.db.transaction(async (tx) => {
    const moved = await parts.orders.move(tx, orderId, to, "admin", { reason: reason ?? null });
    if (moved) return;
    const order = await lockOwn(parts, tx, orderId, undefined);
    throw invalid(order.status, to);
  });
}

/** The job at the end of a reservation: cancels the order if nobody paid. Throws to be run again while a payment runs. */
export async function expireOrder(parts: OrdersParts, caller: Caller, orderId: string): Promise<void> {
  const begun = await parts.db.transaction(async (tx) => {
    const order = await parts.orders.lock(tx, orderId);
    if (order?.status !== "pending") return undefined;
    if (order.reserved_until !== null && new Date(order.reserved_until) > new Date())
      throw new Error("Not yet");
    return await begin(parts, tx, order, "cancelled", { actor: "system", reason: "payment_expired" });
  });
  if (!begun) return;
  parts.metrics.count("molecart_reservations_expired_total", {});
  await finishClosing(parts, caller, begun);
}

/**
 * Money went back: notes how much in all, and when that is everything, what has shipped is refunded and what hasn't is
 * cancelled. Repeated and late events change nothing.
 * @throws OrderInProgress, to be told again: a checkout under way may still confirm the order
 */
export async function followRefund(
  parts: OrdersParts,
  caller: Caller,
  refund: EventData<"payment.refunded">,
): Promise<void> {
  const begun = await parts.db.transaction(async (tx) => {
    if (!(await parts.orders.lock(tx, refund.order_id))) return undefined;
    const order = await parts.orders.noteRefunded(tx, refund.order_id, refund.refunded_total);
    if (!order || order.refunded < order.total) return undefined;
    const change: Change = { actor: "system", reason: refund.reason };
    if (canBecome(order.status, "refunded")) {
      await parts.orders.move(tx, order.id, "refunded", "system", { reason: refund.reason });
      return undefined;
    }
    if (order.status !== "pending") return await begin(parts, tx, order, "cancelled", change);
    const live = await parts.sagas.live(tx, order.id);
    if (live && live.state !== "waiting" && live.data.refusal === undefined) throw new OrderInProgress({});
    return undefined;
  });
  if (begun) await finishClosing(parts, caller, begun);
}

async function lockOwn(
  parts: OrdersParts,
  tx: Tx,
  orderId: string,
  userId: string | undefined,
): Promise<OrderAttributes> {
  const order = await parts.orders.lock(tx, orderId);
  if (!order || (userId !== undefined && order.user_id !== userId))
    throw new NotFound({ what: "order", id: orderId });
  return order;
}

function invalid(from: OrderStatus, to: OrderStatus): InvalidTransition {
  return new InvalidTransition({ from, to, allowed: ORDER_TRANSITIONS[from] });
}
