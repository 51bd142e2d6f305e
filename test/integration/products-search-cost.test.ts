import { describe, expect, it } from "@jest/globals";
import { itemsOf, visitorOf } from "../helpers/catalogue.ts";
import { costOf } from "../helpers/cost.ts";

const PRODUCTS = 3_000;
const MATERIALS = ["oak", "linen", "steel", "walnut", "copper", "cotton", "bamboo", "glass", "wool", "slate"];

const FILL = `INSERT INTO products.products (sku, name, price, currency)
  SELECT 'COST-' || n, 'Foldable ' || ('{${MATERIALS}}'::text[])[1 + n % ${MATERIALS.length}] || ' lamp ' || n, n, 'USD'
  FROM generate_series(1, ${PRODUCTS}) AS n`;
const VACUUM = "VACUUM (ANALYZE) products.products";

describe("a search in a large catalogue", () => {
  it.each([
    { when: "right after an import", prepare: [FILL] },
    { when: "that Postgres has statistics of", prepare: [FILL, VACUUM] },
  ])(
    "$when reads what it was asked for once, however much it finds and however often others searched",
    async ({ prepare }) => {
      const searches = 20;
      const { callsOf } = await costOf(["products.products"], prepare, async (shop) => {
        const { list } = visitorOf(() => shop);
        for (let page = 1; page <= searches; page++) {
          const answer = await list({ search: "steel", page });
          expect(answer.at("pagination", "total")).toBe(PRODUCTS / MATERIALS.length);
        }
      });
      const calls = await callsOf("search_query", "whole_query");
      expect(calls).toBeGreaterThan(0);
      expect(calls).toBeLessThan(searches * 20);
    },
  );

  it("does not walk through the catalogue once more to find that nothing has all its words", async () => {
    const { rowsOf } = await costOf(["products.products"], [FILL, VACUUM], async (shop) => {
      // Each is often met, so Postgres expects to meet both soon.
      expect(itemsOf(await visitorOf(() => shop).list({ search: "steel wool" }))).toEqual([]);
    });
    // Once it may, to look for words that are spelled almost so.
    expect(await rowsOf("products", "products")).toBeLessThan(1.5 * PRODUCTS);
  });

  it("with a typo reads what one for the right word reads", async () => {
    const { rowsOf } = await costOf(["products.products"], [FILL, VACUUM], async (shop) => {
      const answer = await visitorOf(() => shop).list({ search: "stel" });
      expect(answer.at("pagination", "total")).toBe(PRODUCTS / MATERIALS.length);
    });
    expect(await rowsOf("products", "products")).toBeLessThan((1.5 * PRODUCTS) / MATERIALS.length);
  });
});
