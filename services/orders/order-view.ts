import { toDecimal } from "../../lib/money.ts";
import type { HistoryEntry, Order, OrderSummary } from "./orders.contract.ts";
import type { OrderAttributes } from "./orders.model.ts";

export interface ItemRow {
  product_id: number;
  sku: string;
  name: string;
  unit_price: number;
  quantity: number;
}

export interface HistoryRow {
  at: Date | string;
  from_status: HistoryEntry["from"];
  to_status: HistoryEntry["to"];
  reason: string | null;
  actor: string;
}

/** A database timestamp, whether it came through a model (Date) or out of JSON (text), on the wire. */
const iso = (value: Date | string) => new Date(value).toISOString();

function historyView(row: HistoryRow): HistoryEntry {
  return { at: iso(row.at), from: row.from_status, to: row.to_status, reason: row.reason, by: row.actor };
}

/** The payment of an order as the order knows it: its status follows from what was refunded. */
function paymentView(order: OrderAttributes): OrderSummary["payment"] {
  if (order.payment_id === null) return null;
  const status =
    order.refunded === 0 ? "captured" : order.refunded < order.total ? "partially_refunded" : "refunded";
  return {
    id: order.payment_id,
    status,
    amount: toDecimal(order.total),
    currency: order.currency,
    provider: order.payment_provider ?? "",
  };
}

export function summaryView(order: OrderAttributes, items: readonly ItemRow[]): OrderSummary {
  return {
    id: order.id,
    number: order.number,
    user_id: order.user_id,
    status: order.status,
    items: items.map((item) => ({
      product_id: item.product_id,
      sku: item.sku,
      name: item.name,
      price: toDecimal(item.unit_price),
      quantity: item.quantity,
      subtotal: toDecimal(item.unit_price * item.quantity),
    })),
    subtotal: toDecimal(order.subtotal),
    shipping: toDecimal(order.shipping),
    tax: toDecimal(order.tax),
    total_amount: toDecimal(order.total),
    refunded_amount: toDecimal(order.refunded),
    currency: order.currency,
    shipping_address: order.shipping_address,
    payment: paymentView(order),
    reserved_until: order.reserved_until === null ? null : iso(order.reserved_until),
    cancel_reason: order.cancel_reason,
    synthetic: order.synthetic,
    created_at: iso(order.created_at),
    updated_at: iso(order.updated_at),
  };
}

export function orderView(
  order: OrderAttributes,
  items: readonly ItemRow[],
  history: readonly HistoryRow[],
): Order {
  return { ...summaryView(order, items), history: history.map(historyView) };
}
