import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import { envelopeOf } from "../../lib/events.ts";
import { IntId, Matching, Obj, Timestamp } from "../../lib/schema.ts";

const Day = () =>
  Matching("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "must be a day like 2026-11-20", { examples: ["2026-11-20"] });

export const BehaviourEvent = Obj({
  type: Matching(
    "^[a-z][a-z0-9_.]{0,63}$",
    "must be 1 to 64 small letters, digits or . _ and begin with a letter",
    { examples: ["product_view"] },
  ),
  properties: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), { maxProperties: 50, description: "at most 8,192 bytes" }),
  ),
});
export type BehaviourEvent = Static<typeof BehaviourEvent>;

/** The plain event `analytics.behaviour`, by which other services tell what people do. It may be lost. */
export const BehaviourSignal = Obj({
  type: BehaviourEvent.properties.type,
  visitor: Type.String(),
  product_id: IntId(),
});
export type BehaviourSignal = Static<typeof BehaviourSignal>;

export const Summary = Obj({
  from: Timestamp(),
  to: Timestamp(),
  currency: Type.String(),
  revenue: Type.Number({ description: "of confirmed orders, less refunds" }),
  gross_revenue: Type.Number(),
  refunded: Type.Number(),
  orders: Type.Integer({ description: "orders confirmed" }),
  cancelled_orders: Type.Integer(),
  average_order: Type.Number(),
  conversion: Obj({
    visits: Type.Integer(),
    carts: Type.Integer(),
    orders: Type.Integer(),
    paid: Type.Integer(),
    rate: Type.Number({ description: "paid of visits, 0 to 1" }),
  }),
  top_products: Type.Array(
    Obj({ product_id: IntId(), name: Type.String(), quantity: Type.Integer(), revenue: Type.Number() }),
  ),
  by_day: Type.Array(Obj({ day: Day(), orders: Type.Integer(), revenue: Type.Number() })),
});
export type Summary = Static<typeof Summary>;

export const analyticsContract = contract(
  "analytics",
  {
    record: action({
      summary: "Record behaviour events, one or a batch",
      rest: ["POST /analytics/events"],
      permissions: ["public"],
      status: 202,
      params: Obj({
        type: Type.Optional(BehaviourEvent.properties.type),
        properties: BehaviourEvent.properties.properties,
        events: Type.Optional(Type.Array(BehaviourEvent, { minItems: 1, maxItems: 500 })),
      }),
      result: Obj({ accepted: Type.Integer() }),
    }),
    summary: action({
      summary: "Revenue, orders, average order, conversion, top products, by day",
      rest: ["GET /analytics/summary"],
      permissions: ["admin"],
      bulkhead: true,
      params: Obj({
        from: Type.Optional(
          Type.Union([Timestamp(), Day()], { description: "default: the 30 days up to `to`" }),
        ),
        to: Type.Optional(Type.Union([Timestamp(), Day()], { description: "default: now" })),
      }),
      result: Summary,
      timeout: 30_000,
    }),
    onOrder: action({
      summary: "An order was placed, confirmed, cancelled or refunded",
      permissions: ["service"],
      params: envelopeOf("order.placed", "order.confirmed", "order.cancelled", "order.refunded"),
      result: Type.Null(),
      idempotent: true,
    }),
    onPaymentRefunded: action({
      summary: "Money went back",
      permissions: ["service"],
      params: envelopeOf("payment.refunded"),
      result: Type.Null(),
      idempotent: true,
    }),
  },
  {
    "order.placed": "onOrder",
    "order.confirmed": "onOrder",
    "order.cancelled": "onOrder",
    "order.refunded": "onOrder",
    "payment.refunded": "onPaymentRefunded",
  },
);
