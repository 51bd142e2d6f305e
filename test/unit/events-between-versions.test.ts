import { describe, expect, it } from "@jest/globals";
import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import { events } from "../../lib/events.ts";
import { specOf } from "../../middlewares/contract.ts";

/**
 * What the release before wrote into its subscribers' queues, and its subscribers ask for: jobs stay there while nodes are
 * replaced, forwards or back. One that is refused is tried for an hour and then given up. So this changes only after a
 * release: by what that added.
 */

const ID = "01a22ff3-1daf-74aa-a86a-e7c53266e156";
const ORDER = {
  order_id: ID,
  number: "MC-000029",
  user_id: ID,
  status: "confirmed",
  previous_status: "pending",
  total: 2000,
  currency: "EUR",
  items: [{ product_id: 1, name: "Coffee maker", quantity: 2, unit_price: 1000 }],
  cart_id: null,
  reason: null,
  synthetic: false,
};
const REFUND = {
  refund_id: ID,
  payment_id: ID,
  order_id: ID,
  user_id: ID,
  amount: 300,
  refunded_total: 300,
  captured: 2000,
  currency: "EUR",
  reason: "damaged",
};

/** Each with the actions that its jobs name. */
const BEFORE: [event: string, data: object, actions: string[]][] = [
  ["user.registered", { user_id: ID, first_name: "Ada" }, ["notifications.onUserRegistered"]],
  ["order.placed", ORDER, ["notifications.onOrder", "analytics.onOrder", "cart.onOrder"]],
  ["order.confirmed", ORDER, ["notifications.onOrder", "analytics.onOrder", "cart.onOrder"]],
  ["order.processing", ORDER, ["notifications.onOrder"]],
  ["order.shipped", ORDER, ["notifications.onOrder"]],
  ["order.delivered", ORDER, ["notifications.onOrder"]],
  ["order.cancelled", { ...ORDER, reason: "x" }, ["notifications.onOrder", "analytics.onOrder"]],
  ["order.refunded", ORDER, ["notifications.onOrder", "analytics.onOrder"]],
  [
    "payment.refunded",
    REFUND,
    ["notifications.onPaymentRefunded", "analytics.onPaymentRefunded", "orders.onPaymentRefunded"],
  ],
  ["stock.low", { product_id: 1, available: 4, threshold: 5 }, ["notifications.onStockLow"]],
];

describe.each(BEFORE)("%s", (event, data, actions) => {
  it.each(actions)("is taken by %s as the release before published it", (action) => {
    const params = specOf(action)?.params;
    const envelope = { event_id: ID, event, occurred_at: "2026-12-01T04:00:00.000Z", data };
    expect(params && [...Value.Errors(params, envelope)]).toEqual([]);
  });

  it("says all that subscribers of the release before ask for", () => {
    const schema = new Map<string, TSchema>(Object.entries(events)).get(event);
    expect(lackingIn(schema, data)).toEqual([]);
  });
});

/** The paths of a value that need not be there by this schema, `items.0.name`. */
function lackingIn(schema: unknown, value: unknown, path: string[] = []): string[] {
  const { required = [], properties = {}, items = {} } = Object(schema);
  if (Array.isArray(value)) return value.flatMap((one, i) => lackingIn(items, one, [...path, String(i)]));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    required.includes(name)
      ? lackingIn(properties[name], inner, [...path, name])
      : [[...path, name].join(".")],
  );
}
