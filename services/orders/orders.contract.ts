import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import {
  AmountTooLarge,
  CartEmpty,
  IdempotencyInProgress,
  IdempotencyMismatch,
  InsufficientStock,
  InvalidPaymentMethod,
  InvalidTransition,
  OrderInProgress,
  OrderNotPayable,
  OrderOutcomeUnknown,
  PaymentDeclined,
  PaymentProviderUnavailable,
  ProductUnavailable,
  ReservationReleased,
} from "../../lib/errors.ts";
import { envelopeOf } from "../../lib/events.ts";
import {
  Currency,
  IntId,
  Nullable,
  Obj,
  Pagination,
  pageParams,
  Quantity,
  Text,
  Timestamp,
  Uuid,
} from "../../lib/schema.ts";
import { jobActions } from "../../mixins/jobs.contract.ts";
import { LineItem, OrderStock } from "../inventory/inventory.contract.ts";
import { PaymentMethod } from "../payments/payments.contract.ts";
import { AddressInput } from "../users/users.contract.ts";
import { ORDER_STATUSES } from "./order-state.ts";

export const OrderStatus = Type.Enum(ORDER_STATUSES);

export const HistoryEntry = Obj({
  at: Timestamp(),
  from: Nullable(OrderStatus),
  to: OrderStatus,
  reason: Nullable(Type.String()),
  by: Type.String({ description: "`customer`, `admin` or `system`" }),
});
export type HistoryEntry = Static<typeof HistoryEntry>;

/** An address of the address book's shape, or as one text. */
export const ShippingAddress = Type.Union([AddressInput, Text(500, "12 Analytical Row, London N1 9GU, GB")]);
export type ShippingAddress = Static<typeof ShippingAddress>;

const orderFields = {
  id: Uuid(),
  number: Type.String({ examples: ["MC-000042"] }),
  user_id: Uuid(),
  status: OrderStatus,
  items: Type.Array(
    Obj({
      product_id: IntId(),
      sku: Type.String(),
      name: Type.String(),
      price: Type.Number(),
      quantity: Quantity(),
      subtotal: Type.Number(),
    }),
  ),
  subtotal: Type.Number(),
  shipping: Type.Number(),
  tax: Type.Number(),
  total_amount: Type.Number(),
  refunded_amount: Type.Number(),
  currency: Currency(),
  shipping_address: ShippingAddress,
  payment: Nullable(
    Obj({
      id: Uuid(),
      status: Type.String(),
      amount: Type.Number(),
      currency: Currency(),
      provider: Type.String(),
    }),
  ),
  reserved_until: Nullable(Timestamp()),
  cancel_reason: Nullable(Type.String()),
  synthetic: Type.Boolean({ description: "made by a load generator" }),
  created_at: Timestamp(),
  updated_at: Timestamp(),
};
export const OrderSummary = Obj(orderFields);
export type OrderSummary = Static<typeof OrderSummary>;
export const Order = Obj({ ...orderFields, history: Type.Array(HistoryEntry) });
export type Order = Static<typeof Order>;

const OrderPage = Obj({ orders: Type.Array(OrderSummary), pagination: Pagination });

export const SagaView = Obj({
  order_id: Uuid(),
  number: Type.String(),
  kind: Type.String(),
  state: Type.Enum(["running", "compensating", "waiting", "done", "undone", "parked"]),
  step: Nullable(Type.String()),
  attempts: Type.Integer(),
  last_error: Nullable(Type.String()),
  owner: Nullable(Type.String()),
  created_at: Timestamp(),
  updated_at: Timestamp(),
});
export type SagaView = Static<typeof SagaView>;

export const ordersContract = contract(
  "orders",
  {
    checkout: action({
      summary: "Place an order of the given items, or of the cart",
      rest: ["POST /orders"],
      permissions: ["user"],
      status: 201,
      rateClass: "checkout",
      idempotencyKey: true,
      params: Obj({
        shipping_address: ShippingAddress,
        items: Type.Optional(Type.Array(LineItem, { minItems: 1, maxItems: 100 })),
        payment_method: Type.Optional(PaymentMethod()),
        synthetic: Type.Optional(Type.Boolean({ description: "mark as made by a load generator" })),
      }),
      result: Obj({ order: Order }),
      errors: [
        InsufficientStock,
        ProductUnavailable,
        CartEmpty,
        AmountTooLarge,
        PaymentDeclined,
        InvalidPaymentMethod,
        PaymentProviderUnavailable,
        OrderInProgress,
        OrderNotPayable,
        OrderOutcomeUnknown,
        IdempotencyInProgress,
        IdempotencyMismatch,
      ],
      timeout: 15_000,
    }),
    list: action({
      summary: "Your orders, newest first",
      rest: ["GET /orders"],
      permissions: ["user"],
      params: Obj({ ...pageParams, status: Type.Optional(OrderStatus) }),
      result: OrderPage,
    }),
    get: action({
      summary: "One of your orders",
      rest: ["GET /orders/:id"],
      permissions: ["user"],
      params: Obj({ id: Uuid() }),
      result: Order,
    }),
    history: action({
      summary: "Each change of one of your orders",
      rest: ["GET /orders/:id/history"],
      permissions: ["user"],
      params: Obj({ id: Uuid() }),
      result: Obj({ history: Type.Array(HistoryEntry) }),
    }),
    cancel: action({
      summary: "Cancel an order that has not shipped: refunds what was captured, gives the stock back",
      rest: ["POST /orders/:id/cancel"],
      permissions: ["user"],
      params: Obj({ id: Uuid(), reason: Type.Optional(Text(500)) }),
      result: Order,
      errors: [InvalidTransition, OrderInProgress],
      timeout: 15_000,
    }),
    setStatus: action({
      summary: "Move an order along: confirmed, processing, shipped, delivered; cancelled; refunded",
      rest: ["PUT /orders/:id/status", "PATCH /orders/:id/status"],
      permissions: ["admin"],
      params: Obj({ id: Uuid(), status: OrderStatus, reason: Type.Optional(Text(500)) }),
      result: Order,
      errors: [InvalidTransition, OrderInProgress, OrderNotPayable, ReservationReleased, OrderOutcomeUnknown],
      timeout: 15_000,
    }),
    listAll: action({
      summary: "Every order, by status, user and time",
      rest: ["GET /orders/all"],
      permissions: ["admin"],
      bulkhead: true,
      params: Obj({
        ...pageParams,
        status: Type.Optional(OrderStatus),
        user_id: Type.Optional(Uuid()),
        from: Type.Optional(Timestamp()),
        to: Type.Optional(Timestamp()),
      }),
      result: OrderPage,
    }),
    listByUser: action({
      summary: "A user's orders",
      rest: ["GET /orders/user/:user_id"],
      permissions: ["admin"],
      params: Obj({ ...pageParams, user_id: Uuid(), status: Type.Optional(OrderStatus) }),
      result: OrderPage,
    }),
    pay: action({
      summary:
        "Pay an order that waits: resumes its checkout with this payment method, and answers when that has ended",
      permissions: ["service"],
      params: Obj({
        order_id: Uuid(),
        user_id: Uuid(),
        payment_method: PaymentMethod(),
      }),
      result: Obj({ payment_id: Uuid() }),
      errors: [
        OrderNotPayable,
        OrderInProgress,
        ReservationReleased,
        OrderOutcomeUnknown,
        PaymentDeclined,
        InvalidPaymentMethod,
        PaymentProviderUnavailable,
      ],
      timeout: 15_000,
    }),
    onPaymentRefunded: action({
      summary: "A payment was refunded in part or whole: the order follows",
      permissions: ["service"],
      params: envelopeOf("payment.refunded"),
      result: Type.Null(),
      idempotent: true,
    }),
    sagas: action({
      summary: "Checkouts and cancellations under way or parked",
      rest: ["GET /admin/sagas"],
      permissions: ["admin"],
      params: Obj({ ...pageParams, state: Type.Optional(SagaView.properties.state) }),
      result: Obj({ sagas: Type.Array(SagaView), pagination: Pagination }),
    }),
    redriveSaga: action({
      summary: "Run a parked saga again",
      rest: ["POST /admin/sagas/:order_id/redrive"],
      permissions: ["admin"],
      params: Obj({ order_id: Uuid() }),
      result: SagaView,
      timeout: 15_000,
    }),
    figures: action({
      summary: "Orders and revenue of the last 60 minutes, and how the sagas stand, for live screens",
      permissions: ["service"],
      params: Obj({}),
      result: Obj({
        currency: Currency(),
        minutes: Type.Array(
          Obj({
            minute: Timestamp(),
            orders: Type.Integer(),
            paid: Type.Integer(),
            revenue: Type.Integer({ description: "minor units" }),
          }),
        ),
        sagas: Type.Array(
          Obj({
            state: SagaView.properties.state,
            count: Type.Integer(),
            stuck: Type.Integer(),
            oldest_s: Type.Number(),
          }),
        ),
      }),
    }),
    audit: action({
      summary: "What the invariants I2 to I5 need to know of each order, by page",
      permissions: ["service", "admin"],
      params: Obj({ after: Type.Optional(Uuid()), limit: Type.Integer({ minimum: 1, maximum: 1000 }) }),
      result: Obj({
        orders: Type.Array(
          Obj({
            order_id: Uuid(),
            number: Type.String(),
            status: OrderStatus,
            total: Type.Integer(),
            refunded: Type.Integer(),
            paid: Type.Boolean(),
            offline: Type.Boolean({ description: "an admin confirmed it without a payment" }),
            units: OrderStock.properties.units,
            saga: Nullable(Type.String()),
            saga_age_ms: Nullable(Type.Integer()),
            overdue_ms: Nullable(
              Type.Integer({ description: "how long a waiting order has outlived its reservation" }),
            ),
            telling: Type.Boolean({
              description: "an event about it is on its way to notifications, or among the dead letters",
            }),
          }),
        ),
        next: Nullable(Uuid()),
      }),
      timeout: 60_000,
    }),
    ...jobActions,
  },
  { "payment.refunded": "onPaymentRefunded" },
);
