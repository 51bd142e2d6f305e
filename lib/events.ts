import Type, { type Static, type TObject, type TProperties } from "typebox";
import { idOf, newId } from "./ids.ts";
import { Minor } from "./money.ts";
import { Currency, IntId, Nullable, Quantity, Timestamp, Uuid } from "./schema.ts";

/**
 * The durable events: published in the transaction that makes them true, delivered to each subscriber's action until
 * it acknowledges. At least once, in no order: consumers deduplicate by `event_id`.
 */

/** An event says at least this. What a newer publisher adds is not refused: its subscribers may be older. */
const Told = <P extends TProperties>(properties: P) => Type.Object(properties);

const OrderEventData = Told({
  order_id: Uuid(),
  number: Type.String(),
  user_id: Uuid(),
  status: Type.String(),
  previous_status: Nullable(Type.String()),
  total: Minor(),
  currency: Currency(),
  items: Type.Array(
    Told({ product_id: IntId(), name: Type.String(), quantity: Quantity(), unit_price: Minor() }),
  ),
  cart_id: Nullable(Type.String()),
  reason: Nullable(Type.String()),
  synthetic: Type.Boolean(),
});

export const events = {
  "user.registered": Told({ user_id: Uuid(), first_name: Type.String() }),
  /** The order stands with its stock reserved, and waits for its payment. */
  "order.placed": OrderEventData,
  "order.confirmed": OrderEventData,
  "order.processing": OrderEventData,
  "order.shipped": OrderEventData,
  "order.delivered": OrderEventData,
  "order.cancelled": OrderEventData,
  "order.refunded": OrderEventData,
  "payment.refunded": Told({
    refund_id: Uuid(),
    payment_id: Uuid(),
    order_id: Uuid(),
    user_id: Uuid(),
    amount: Minor(),
    refunded_total: Minor(),
    captured: Minor(),
    currency: Currency(),
    reason: Type.String(),
  }),
  "stock.low": Told({ product_id: IntId(), available: Type.Integer(), threshold: Type.Integer() }),
} satisfies Record<string, TObject>;

export type EventName = keyof typeof events;
export type EventData<E extends EventName> = Static<(typeof events)[E]>;
export type OrderEventName = Extract<EventName, `order.${string}`>;

const ORDER_FIELDS = [
  "order_id",
  "number",
  "user_id",
  "status",
  "previous_status",
  "total",
  "currency",
  "items",
  "synthetic",
] as const;

/**
 * What an operator is shown of an undelivered event: nothing that names a person, and no text that a person wrote.
 * Amounts are minor units.
 */
const VISIBLE: { readonly [E in EventName]: readonly (keyof EventData<E>)[] } = {
  "user.registered": ["user_id"],
  "order.placed": ORDER_FIELDS,
  "order.confirmed": ORDER_FIELDS,
  "order.processing": ORDER_FIELDS,
  "order.shipped": ORDER_FIELDS,
  "order.delivered": ORDER_FIELDS,
  "order.cancelled": ORDER_FIELDS,
  "order.refunded": ORDER_FIELDS,
  "payment.refunded": [
    "refund_id",
    "payment_id",
    "order_id",
    "user_id",
    "amount",
    "refunded_total",
    "captured",
    "currency",
  ],
  "stock.low": ["product_id", "available", "threshold"],
};

const visible = new Map<string, readonly string[]>(Object.entries(VISIBLE));

/** The field that names what an event happens to just once; null where it may happen again. */
const ONCE_FOR: { readonly [E in EventName]: keyof EventData<E> | null } = {
  "user.registered": "user_id",
  "order.placed": "order_id",
  "order.confirmed": "order_id",
  "order.processing": "order_id",
  "order.shipped": "order_id",
  "order.delivered": "order_id",
  "order.cancelled": "order_id",
  "order.refunded": "order_id",
  "payment.refunded": "refund_id",
  "stock.low": null,
};

/**
 * The id of an event: where it happens just once, the same whenever it is published. A shop that was restored from a backup does
 * again what it had done since, and nobody is told twice.
 */
export function eventIdOf<E extends EventName>(event: E, data: EventData<E>): string {
  const field = ONCE_FOR[event];
  return field === null ? newId() : idOf(`${event} ${data[field]}`);
}

/** The data of an event as an operator may see it; nothing of an event that this version doesn't know. */
export function visibleData(event: string, data: object): Record<string, unknown> {
  const fields = visible.get(event) ?? [];
  return Object.fromEntries(Object.entries(data).filter(([name]) => fields.includes(name)));
}

export interface EventEnvelope<E extends EventName = EventName> {
  event_id: string;
  event: E;
  occurred_at: string;
  data: EventData<E>;
}

/** The params of an action that subscribes to these events (which share the shape of their data). */
export function envelopeOf<const E extends EventName>(...names: E[]) {
  const [first] = names;
  if (first === undefined) throw new Error("envelopeOf needs an event");
  return Told({
    event_id: Uuid(),
    event: Type.Enum(names),
    occurred_at: Timestamp(),
    data: events[first] as (typeof events)[E],
  });
}
