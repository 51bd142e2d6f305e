import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import {
  IdempotencyInProgress,
  IdempotencyMismatch,
  InvalidPaymentMethod,
  InvalidSignature,
  NotFound,
  NotRefundable,
  OrderInProgress,
  OrderNotPayable,
  OrderOutcomeUnknown,
  PaymentDeclined,
  PaymentOutcomeUnknown,
  PaymentProviderUnavailable,
  RefundRefused,
  RefundTooLarge,
  ReservationReleased,
} from "../../lib/errors.ts";
import { Amount, Minor } from "../../lib/money.ts";
import { Currency, Matching, Nullable, Obj, Text, Timestamp, Uuid } from "../../lib/schema.ts";
import { jobActions } from "../../mixins/jobs.contract.ts";
import { Violation } from "../inventory/inventory.contract.ts";

const PaymentStatus = Type.Enum([
  "processing",
  "captured",
  "declined",
  "failed",
  "voided",
  "partially_refunded",
  "refunded",
]);

export const Payment = Obj({
  id: Uuid(),
  order_id: Uuid(),
  status: PaymentStatus,
  amount: Type.Number(),
  refunded_amount: Type.Number(),
  currency: Currency(),
  provider: Type.String(),
  failure_code: Nullable(Type.String()),
  created_at: Timestamp(),
  updated_at: Timestamp(),
});
export type Payment = Static<typeof Payment>;

export const Refund = Obj({
  id: Uuid(),
  payment_id: Uuid(),
  amount: Type.Number(),
  currency: Currency(),
  reason: Type.String(),
  status: Type.Enum(["pending", "succeeded", "failed"]),
  created_at: Timestamp(),
});
export type Refund = Static<typeof Refund>;

/** A provider's token, never card data. The sandbox takes Stripe's test names. */
export const PaymentMethod = () =>
  Matching("^[A-Za-z0-9_.:-]{1,100}$", "must be 1 to 100 letters, digits or _ . : -", {
    examples: ["pm_card_visa"],
  });

/** How a charge ended. Only these are definite; an error thrown instead leaves the outcome unknown. */
export const ChargeResult = Obj({
  outcome: Type.Enum(["captured", "declined", "invalid_method", "unavailable", "voided"]),
  payment_id: Nullable(Uuid()),
  provider: Type.String(),
  reason: Nullable(Type.String()),
});
export type ChargeResult = Static<typeof ChargeResult>;

export const paymentsContract = contract("payments", {
  process: action({
    summary: "Pay an order that waits for its payment",
    rest: ["POST /payments/process"],
    permissions: ["user"],
    rateClass: "checkout",
    idempotencyKey: true,
    params: Obj({ order_id: Uuid(), payment_method: PaymentMethod() }),
    result: Obj({ payment: Payment }),
    errors: [
      NotFound,
      PaymentDeclined,
      InvalidPaymentMethod,
      OrderNotPayable,
      OrderInProgress,
      ReservationReleased,
      OrderOutcomeUnknown,
      PaymentProviderUnavailable,
      IdempotencyInProgress,
      IdempotencyMismatch,
    ],
    timeout: 15_000,
  }),
  get: action({
    summary: "One of your payments, with its refunds",
    rest: ["GET /payments/:id"],
    permissions: ["user"],
    params: Obj({ id: Uuid() }),
    result: Obj({ payment: Payment, refunds: Type.Array(Refund) }),
  }),
  listByOrder: action({
    summary: "The payments of one of your orders",
    rest: ["GET /orders/:id/payments"],
    permissions: ["user"],
    params: Obj({ id: Uuid() }),
    result: Obj({ payments: Type.Array(Payment) }),
  }),
  refund: action({
    summary: "Refund part or all of a payment, never more than was captured",
    rest: ["POST /payments/:id/refund"],
    permissions: ["admin"],
    idempotencyKey: true,
    params: Obj({
      id: Uuid(),
      amount: Type.Optional(Amount({ minimum: 0.01, maximum: 20_000_000 })),
      reason: Text(500, "damaged in transit"),
    }),
    result: Obj({ refund: Refund, payment: Payment }),
    errors: [
      RefundTooLarge,
      NotRefundable,
      RefundRefused,
      PaymentProviderUnavailable,
      PaymentOutcomeUnknown,
      IdempotencyInProgress,
      IdempotencyMismatch,
    ],
    timeout: 15_000,
  }),
  webhook: action({
    summary: "A provider tells of a payment; its signature is checked on the raw body",
    rest: ["POST /payments/webhooks/:provider"],
    permissions: ["public"],
    rateClass: "none",
    rawBody: true,
    params: Obj({
      provider: Type.Enum(["sandbox", "stripe", "paypal"]),
      raw_body: Type.String({ description: "the body as it came" }),
      headers: Type.Record(Type.String(), Type.String()),
    }),
    result: Obj({ received: Type.Literal(true) }),
    errors: [InvalidSignature, PaymentProviderUnavailable],
    idempotent: true,
  }),
  charge: action({
    summary:
      "Authorize and capture an order's total. Asked again under the same key it gives the same answer",
    permissions: ["service"],
    params: Obj({
      key: Type.String({ maxLength: 200, description: "orderId:charge:attempt" }),
      order_id: Uuid(),
      user_id: Uuid(),
      amount: Minor(),
      currency: Currency(),
      payment_method: PaymentMethod(),
    }),
    result: ChargeResult,
    idempotent: true,
    timeout: 12_000,
  }),
  cancelOrder: action({
    summary:
      "Undo of charge: refund all that is captured of an order, and refuse any charge of it that comes later. Never leaves an unknown one behind",
    permissions: ["service"],
    params: Obj({ order_id: Uuid(), reason: Type.String({ maxLength: 500 }) }),
    result: Obj({ refunded: Minor(), payment: Nullable(Payment) }),
    idempotent: true,
    timeout: 12_000,
  }),
  audit: action({
    summary:
      "Rows that break I2 inside payments, by page; and what each order captured and refunded, for comparison, with up to 100 between them that weren't asked for",
    permissions: ["service", "admin"],
    params: Obj({ order_ids: Type.Array(Uuid(), { maxItems: 1000 }) }),
    result: Obj({
      orders: Type.Array(
        Obj({
          order_id: Uuid(),
          captures: Type.Integer(),
          captured: Type.Integer(),
          refunded: Type.Integer(),
          processing: Type.Integer(),
        }),
      ),
      violations: Type.Array(Violation),
    }),
    timeout: 60_000,
  }),
  ...jobActions,
});
