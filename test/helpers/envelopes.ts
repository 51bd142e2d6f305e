import type { EventData, OrderEventName } from "../../lib/events.ts";
import { newId } from "../../lib/ids.ts";

interface Told {
  event_id?: string;
  /** When it happened; now by default. */
  at?: string;
}

/** An order's event as `orders` publishes it. */
export function orderEvent<E extends OrderEventName>(
  event: E,
  data: Partial<EventData<OrderEventName>> = {},
  { event_id = newId(), at = new Date().toISOString() }: Told = {},
) {
  const defaults: EventData<OrderEventName> = {
    order_id: newId(),
    number: "MC-000042",
    user_id: newId(),
    status: event.slice("order.".length),
    previous_status: null,
    total: 2999,
    currency: "EUR",
    items: [{ product_id: 1, name: "Coffee maker", quantity: 1, unit_price: 2999 }],
    cart_id: null,
    reason: null,
    synthetic: false,
  };
  return { event_id, event, occurred_at: at, data: { ...defaults, ...data } };
}

/** A refund as `payments` publishes it. */
export function refundEvent(
  data: Partial<EventData<"payment.refunded">> = {},
  { event_id = newId(), at = new Date().toISOString() }: Told = {},
) {
  const defaults: EventData<"payment.refunded"> = {
    refund_id: newId(),
    payment_id: newId(),
    order_id: newId(),
    user_id: newId(),
    amount: 1000,
    refunded_total: 1000,
    captured: 2999,
    currency: "EUR",
    reason: "damaged",
  };
  return { event_id, event: "payment.refunded" as const, occurred_at: at, data: { ...defaults, ...data } };
}
