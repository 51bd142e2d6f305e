import type { Config } from "../../lib/config.ts";
import { AmountTooLarge, ProductUnavailable, ValidationFailed } from "../../lib/errors.ts";
import { MAX_ORDER_TOTAL, type MinorUnits, TAX_PLACES } from "../../lib/money.ts";
import { MAX_QUANTITY } from "../../lib/schema.ts";
import type { LineItem } from "../inventory/inventory.contract.ts";
import type { Quote } from "../products/products.contract.ts";

/** One product of an order, at the price of the moment. `unit_price` in minor units. */
export interface PricedItem {
  product_id: number;
  sku: string;
  name: string;
  unit_price: MinorUnits;
  quantity: number;
}

/** All in minor units; total = subtotal + shipping + tax. */
export interface Totals {
  subtotal: MinorUnits;
  shipping: MinorUnits;
  tax: MinorUnits;
  total: MinorUnits;
}

export type PricingRules = Pick<Config, "SHIPPING_FLAT" | "SHIPPING_FREE_FROM" | "TAX_PERCENT">;

/**
 * One line for each product, in product order: the order in which stock is locked.
 * @throws ValidationFailed where lines of one product add up to more than a line may hold
 */
export function mergeItems(items: readonly LineItem[]): LineItem[] {
  const quantities = new Map<number, number>();
  for (const [index, { product_id, quantity }] of items.entries()) {
    const sum = (quantities.get(product_id) ?? 0) + quantity;
    if (sum > MAX_QUANTITY) {
      const message = `an order holds at most ${MAX_QUANTITY} of one product`;
      throw new ValidationFailed({ violations: [{ path: `/items/${index}/quantity`, message }] });
    }
    quantities.set(product_id, sum);
  }
  return [...quantities]
    .sort(([a], [b]) => a - b)
    .map(([product_id, quantity]) => ({ product_id, quantity }));
}

/** Joins what was asked with what it costs today. @throws ProductUnavailable naming what isn't sold */
export function priceItems(items: readonly LineItem[], quotes: readonly Quote[]): PricedItem[] {
  const byId = new Map(quotes.map((quote) => [quote.product_id, quote]));
  const missing = items.filter((item) => !byId.has(item.product_id)).map((item) => item.product_id);
  if (missing.length > 0) throw new ProductUnavailable({ product_ids: missing });
  return items.flatMap(({ product_id, quantity }) => {
    const quote = byId.get(product_id);
    return quote
      ? [{ product_id, quantity, sku: quote.sku, name: quote.name, unit_price: quote.unit_price }]
      : [];
  });
}

/**
 * Shipping is flat, and free from a subtotal on (0: never free by amount); tax is a percentage of goods and shipping,
 * rounded half up to the minor unit.
 * @throws AmountTooLarge
 */
export function totalsOf(items: readonly PricedItem[], rules: PricingRules): Totals {
  const subtotal = items.reduce((sum, item) => sum + item.unit_price * item.quantity, 0);
  const isFree = rules.SHIPPING_FREE_FROM > 0 && subtotal >= rules.SHIPPING_FREE_FROM;
  const shipping = isFree ? 0 : rules.SHIPPING_FLAT;
  // In whole numbers: 4.225 % of 60.00 is 2.535, but a little less in binary fractions.
  const rate = Math.round(rules.TAX_PERCENT * 10 ** TAX_PLACES);
  const tax = Math.round(((subtotal + shipping) * rate) / 10 ** (TAX_PLACES + 2));
  const total = subtotal + shipping + tax;
  if (total > MAX_ORDER_TOTAL) throw new AmountTooLarge({});
  return { subtotal, shipping, tax, total };
}
