import { toDecimal } from "../../lib/money.ts";
import type { Payment, Refund } from "./payments.contract.ts";
import type { PaymentRow, RefundRow } from "./payments.model.ts";

/** The statuses of a payment whose money was taken. */
const CAPTURED: readonly Payment["status"][] = ["captured", "partially_refunded", "refunded"];

export function isCapture({ status }: Pick<PaymentRow, "status">): boolean {
  return CAPTURED.includes(status);
}

/** A payment as REST shows it: amounts as decimals. */
export function paymentView(row: PaymentRow): Payment {
  return {
    id: row.id,
    order_id: row.order_id,
    status: row.status,
    amount: toDecimal(row.amount),
    refunded_amount: toDecimal(row.refunded),
    currency: row.currency,
    provider: row.provider,
    failure_code: row.failure_code,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** A refund as REST shows it, in the currency of its payment. */
export function refundView(row: RefundRow, currency: string): Refund {
  return {
    id: row.id,
    payment_id: row.payment_id,
    amount: toDecimal(row.amount),
    currency,
    reason: row.reason,
    status: row.status,
    created_at: row.created_at.toISOString(),
  };
}
