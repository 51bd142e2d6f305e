import type { LineItem } from "./inventory.contract.ts";

/** One item a product, in product order. */
export function mergeItems(items: readonly LineItem[]): LineItem[] {
  const quantities = new Map<number, number>();
  for (const { product_id, quantity } of items) {
    quantities.set(product_id, (quantities.get(product_id) ?? 0) + quantity);
  }
  return [...quantities]
    .map(([product_id, quantity]) => ({ product_id, quantity }))
    .sort((a, b) => a.product_id - b.product_id);
}
