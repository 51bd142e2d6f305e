import type { MinorUnits } from "../../lib/money.ts";

/** Times are ISO 8601 in UTC with milliseconds, so that they compare as text. */
interface AnalyticsBase {
  _id: string;
  at: string;
}

/** The step of the funnel that a behaviour counts as. */
export const BEHAVIOUR_KINDS = ["visit", "cart", "other"] as const;

/** What somebody did in the shop. */
export interface BehaviourDocument extends AnalyticsBase {
  kind: (typeof BEHAVIOUR_KINDS)[number];
  type: string;
  visitor: string;
  /** As JSON: a client's keys may be none that a document store takes. */
  properties: string;
}

/** What became of an order; `_id` is the event's id, so a redelivered event counts once. */
export interface OrderDocument extends AnalyticsBase {
  kind: "order.placed" | "order.confirmed" | "order.cancelled" | "order.refunded";
  order_id: string;
  total: MinorUnits;
  currency: string;
  items: { product_id: number; name: string; quantity: number; unit_price: MinorUnits }[];
  synthetic: boolean;
}

/** Money that went back; `_id` is the event's id. */
export interface RefundDocument extends AnalyticsBase {
  kind: "payment.refunded";
  order_id: string;
  amount: MinorUnits;
  currency: string;
}

export type AnalyticsDocument = BehaviourDocument | OrderDocument | RefundDocument;

export const INDEXES = ["at"] as const;
