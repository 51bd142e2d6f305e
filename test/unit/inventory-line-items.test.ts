import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { LineItem } from "../../services/inventory/inventory.contract.ts";
import { mergeItems } from "../../services/inventory/line-items.ts";

test("a product named twice becomes one item, and items stand in product order", () => {
  const items = [
    { product_id: 7, quantity: 1 },
    { product_id: 2, quantity: 3 },
    { product_id: 7, quantity: 4 },
  ];
  expect(mergeItems(items)).toEqual([
    { product_id: 2, quantity: 3 },
    { product_id: 7, quantity: 5 },
  ]);
});

test("merging loses and makes nothing, whatever the order", () => {
  const item = fc.record({
    product_id: fc.integer({ min: 1, max: 5 }),
    quantity: fc.integer({ min: 1, max: 9 }),
  });
  const total = (items: readonly LineItem[], id: number) =>
    items.filter(({ product_id }) => product_id === id).reduce((sum, { quantity }) => sum + quantity, 0);
  fc.assert(
    fc.property(fc.array(item, { maxLength: 20 }), (items) => {
      const merged = mergeItems(items);
      const ids = merged.map(({ product_id }) => product_id);
      expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
      for (const id of [1, 2, 3, 4, 5]) expect(total(merged, id)).toBe(total(items, id));
      expect(mergeItems(items.toReversed())).toEqual(merged);
    }),
    { seed: 1 },
  );
});
