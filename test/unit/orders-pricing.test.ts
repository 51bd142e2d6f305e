import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { AmountTooLarge, ProductUnavailable, ValidationFailed } from "../../lib/errors.ts";
import { MAX_ORDER_TOTAL } from "../../lib/money.ts";
import { MAX_QUANTITY } from "../../lib/schema.ts";
import { mergeItems, priceItems, totalsOf } from "../../services/orders/pricing.ts";

const FREE = { SHIPPING_FLAT: 0, SHIPPING_FREE_FROM: 0, TAX_PERCENT: 0 };
const item = (unit_price: number, quantity: number) => ({
  product_id: 1,
  sku: "A",
  name: "A",
  unit_price,
  quantity,
});
const quote = (product_id: number, unit_price: number) => ({
  product_id,
  sku: `S${product_id}`,
  name: "x",
  unit_price,
  currency: "EUR",
});

describe("mergeItems", () => {
  it("makes one line for each product, in product order", () => {
    const items = [
      { product_id: 9, quantity: 1 },
      { product_id: 2, quantity: 3 },
      { product_id: 9, quantity: 2 },
    ];
    expect(mergeItems(items)).toEqual([
      { product_id: 2, quantity: 3 },
      { product_id: 9, quantity: 3 },
    ]);
  });

  it("takes as many of one product as a line may hold, and no more", () => {
    const [most, one] = [
      { product_id: 9, quantity: MAX_QUANTITY },
      { product_id: 9, quantity: 1 },
    ];
    expect(mergeItems([most])).toEqual([most]);
    expect(() => mergeItems([most, one])).toThrow(ValidationFailed);
  });
});

describe("priceItems", () => {
  it("takes name and price from the quote", () => {
    expect(priceItems([{ product_id: 2, quantity: 3 }], [quote(2, 2999)])).toEqual([
      { product_id: 2, sku: "S2", name: "x", unit_price: 2999, quantity: 3 },
    ]);
  });

  it("names the products that are not sold", () => {
    const attempt = () =>
      priceItems(
        [
          { product_id: 2, quantity: 1 },
          { product_id: 3, quantity: 1 },
        ],
        [quote(2, 1)],
      );
    expect(attempt).toThrow(ProductUnavailable);
    expect(attempt).toThrow(expect.objectContaining({ data: { product_ids: [3] } }));
  });
});

describe("totalsOf", () => {
  it("sums in minor units", () => {
    expect(totalsOf([item(1010, 3), item(5, 1)], FREE)).toEqual({
      subtotal: 3035,
      shipping: 0,
      tax: 0,
      total: 3035,
    });
  });

  it("adds flat shipping below the free limit, and none from it on", () => {
    const rules = { ...FREE, SHIPPING_FLAT: 490, SHIPPING_FREE_FROM: 5000 };
    expect(totalsOf([item(4999, 1)], rules)).toMatchObject({ shipping: 490, total: 5489 });
    expect(totalsOf([item(5000, 1)], rules)).toMatchObject({ shipping: 0, total: 5000 });
  });

  it("rounds tax half up to the minor unit, on goods and shipping", () => {
    expect(totalsOf([item(50, 1)], { ...FREE, TAX_PERCENT: 19 })).toMatchObject({ tax: 10, total: 60 });
    expect(
      totalsOf([item(1000, 1)], { SHIPPING_FLAT: 100, SHIPPING_FREE_FROM: 0, TAX_PERCENT: 10 }),
    ).toMatchObject({ tax: 110 });
  });

  it("rounds tax by what it is in decimals", () => {
    for (const [cents, TAX_PERCENT, tax] of [
      [6_000, 4.225, 254],
      [41_000, 6.35, 2604],
      [12_500, 0.036, 5],
      [1_500_000_000, 33.3333, 500_000_000 - 500],
    ] as const) {
      expect(totalsOf([item(cents, 1)], { ...FREE, TAX_PERCENT })).toMatchObject({ tax });
    }
  });

  it("refuses a total beyond what an order may be", () => {
    const most = item(MAX_ORDER_TOTAL / 20, 20);
    expect(totalsOf([most], FREE).total).toBe(MAX_ORDER_TOTAL);
    expect(() => totalsOf([most, item(1, 1)], FREE)).toThrow(AmountTooLarge);
  });

  it("always adds up, in whole minor units", () => {
    const items = fc.array(
      fc.record({
        unit_price: fc.integer({ min: 0, max: 100_000 }),
        quantity: fc.integer({ min: 1, max: 100 }),
      }),
    );
    const rules = fc.record({
      SHIPPING_FLAT: fc.integer({ min: 0, max: 10_000 }),
      SHIPPING_FREE_FROM: fc.integer({ min: 0, max: 100_000 }),
      TAX_PERCENT: fc.double({ min: 0, max: 100, noNaN: true }),
    });
    fc.assert(
      fc.property(items, rules, (lines, pricing) => {
        const totals = totalsOf(
          lines.map((line) => item(line.unit_price, line.quantity)),
          pricing,
        );
        expect(totals.total).toBe(totals.subtotal + totals.shipping + totals.tax);
        expect(Number.isInteger(totals.total)).toBe(true);
      }),
    );
  });
});
