import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Item, itemsOf, visitorOf } from "../helpers/catalogue.ts";
import { eventually, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** What the demo catalogue answers to whoever looks around in it. Nothing here changes it. */
let shop: Shop;
let everything: Item[];
const { list, all, names } = visitorOf(() => shop);
beforeAll(async () => {
  shop = await startShop({ env: { SEED: "demo" } });
  await eventually(async () => Number((await list({ in_stock: true })).at("pagination", "total")) > 200);
  everything = await all({});
});
afterAll(() => shop.stop());

const inCategory = (...wanted: string[]) =>
  everything.filter(({ category }) => wanted.includes(category)).length;

describe("browsing", () => {
  test("shows the whole catalogue, newest first, in pages that don't overlap", async () => {
    expect(everything).toHaveLength(223);
    expect(new Set(everything.map(({ id }) => id)).size).toBe(223);
    expect(everything.map(({ id }) => id)).toEqual(everything.map(({ id }) => id).toSorted((a, b) => b - a));
    const first = await list({});
    expect(first.at("pagination")).toEqual({ page: 1, limit: 20, total: 223, pages: 12 });
    expect(itemsOf(first)).toEqual(everything.slice(0, 20));
    expect(itemsOf(await list({ page: 12, per_page: 20 }))).toEqual(everything.slice(220));
    expect(itemsOf(await list({ page: 3, limit: 7, per_page: 50 }))).toEqual(everything.slice(14, 21));
  });

  test("beyond the last page there is nothing, and the total stays", async () => {
    const beyond = await list({ page: 13 });
    expect(beyond.body).toEqual({ products: [], pagination: { page: 13, limit: 20, total: 223, pages: 12 } });
    const far = await list({ page: 1_000_000, limit: 100 });
    expect(far.at("pagination")).toEqual({ page: 1_000_000, limit: 100, total: 223, pages: 3 });
    const searched = await list({ search: "coffee", page: 50 });
    expect([searched.at("products"), searched.at("pagination", "total")]).toEqual([[], 26]);
  });

  test.each([
    ["price", (a: Item, b: Item) => a.price - b.price || a.id - b.id],
    ["-price", (a: Item, b: Item) => b.price - a.price || b.id - a.id],
    ["newest", (a: Item, b: Item) => b.id - a.id],
    ["relevance", (a: Item, b: Item) => b.id - a.id],
  ])("sorts by %s, ties by id", async (sort, order) => {
    expect(await all({ sort, limit: 37 })).toEqual(everything.toSorted(order));
  });

  test("sorts by name, whatever its case, accents and quotes", async () => {
    const sorted = await names({ sort: "name" });
    expect(sorted).toHaveLength(223);
    const plain = sorted.map((name) =>
      name
        .normalize("NFD")
        .replaceAll(/[^A-Za-z]/g, "")
        .toLowerCase(),
    );
    const at = (name: string) => plain.indexOf(name);
    expect(at("cremebruleetorchwithporcelainramekins")).toBeLessThan(at("cremedejourwithseabuckthornml"));
    expect(at("cremedejourwithseabuckthornml")).toBeLessThan(
      at("crunchymusliwithdarkchocolateandsourcherryg"),
    );
    expect(at("eljardindesombranovela")).toBeLessThan(at("espressonotturnocoffeebeanskg"));
  });

  test.each([
    ["page", 0],
    ["page", "x"],
    ["limit", 0],
    ["limit", 101],
    ["per_page", 101],
    ["sort", "price; DROP TABLE"],
    ["sort", "stock_quantity"],
    ["min_price", -1],
    ["min_price", 0.001],
    ["max_price", 1_000_000.01],
    ["max_price", "cheap"],
    ["in_stock", "maybe"],
    ["facets", "all"],
    ["ids", "1,,2"],
    ["ids", "1;2"],
    ["ids", ""],
    ["ids", Array.from({ length: 101 }, () => 1).join(",")],
    ["category_id", 0],
    ["category_id", "x"],
    ["category", "x".repeat(101)],
    ["search", "x".repeat(201)],
    ["colour", "red"],
  ])("refuses %s=%s", async (name, value) => {
    const answer = await list({ [name]: value });
    expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
    expect(answer.at("details", "violations", 0, "path")).toBe(`/${name}`);
  });
});

describe("filters", () => {
  test("category takes a name or slug, whatever its case and accents, with all below it", async () => {
    const coffee = inCategory("Coffee & Tea", "Coffee Makers", "Teaware");
    expect(coffee).toBeGreaterThan(inCategory("Coffee Makers"));
    for (const category of ["coffee-tea", "COFFEE-TEA", "Coffee & Tea", "coffee & tea", " Coffee & Tea "]) {
      expect([category, (await list({ category })).at("pagination", "total")]).toEqual([category, coffee]);
    }
    for (const category of ["Pâtisserie & Baking Tools", "patisserie & baking tools", "baking-tools"]) {
      expect((await list({ category })).at("pagination", "total")).toBe(
        inCategory("Pâtisserie & Baking Tools"),
      );
    }
    const home = await all({ category: "home-kitchen" });
    expect(home.every(({ sku }) => sku.startsWith("HK-"))).toBe(true);
    expect(home).toHaveLength(everything.filter(({ sku }) => sku.startsWith("HK-")).length);
  });

  test("category_id takes the subtree too", async () => {
    const tree = (await send(shop, "GET", "/api/categories")).at("categories");
    if (!Array.isArray(tree)) throw new Error("There are no categories.");
    expect(tree.map((root) => (typeof root === "object" && root && "name" in root ? root.name : ""))).toEqual(
      [
        "Beauty & Care",
        "Electronics",
        "Food & Drink",
        "Home & Kitchen",
        "Sports & Outdoors",
        "Stationery & Books",
        "Toys & Games",
      ],
    );
    const [, electronics] = tree;
    const id =
      typeof electronics === "object" && electronics && "id" in electronics ? Number(electronics.id) : 0;
    const found = await all({ category_id: id });
    expect(found).toHaveLength(everything.filter(({ sku }) => sku.startsWith("EL-")).length);
  });

  test("of an unknown category there is nothing", async () => {
    for (const query of [
      { category: "no-such" },
      { category: "!!" },
      { category: "日本" },
      { category_id: 999_999 },
    ]) {
      const answer = await list({ ...query, facets: true });
      expect([answer.status, answer.body]).toEqual([
        200,
        {
          products: [],
          pagination: { page: 1, limit: 20, total: 0, pages: 0 },
          facets: { categories: [], price: null, in_stock: 0 },
        },
      ]);
    }
  });

  test("ids takes those that there are, once each", async () => {
    const answer = await list({ ids: "7,5,999999,5,99999999999".slice(0, -1) });
    expect(itemsOf(answer).map(({ id }) => id)).toEqual([7, 5]);
    expect((await list({ ids: "0" })).at("products")).toEqual([]);
  });

  test("min_price and max_price include their ends", async () => {
    const wanted = everything.filter(({ price }) => price >= 29.9 && price <= 29.99);
    expect(wanted.map(({ price }) => price)).toEqual(expect.arrayContaining([29.9, 29.95, 29.99]));
    expect(await all({ min_price: 29.9, max_price: 29.99 })).toEqual(wanted);
    expect(await all({ min_price: 29.99, max_price: 29.99 })).toEqual(
      everything.filter(({ price }) => price === 29.99),
    );
    expect((await list({ max_price: 0 })).at("products")).toEqual([]);
  });

  test("a range of prices upside down is refused", async () => {
    const answer = await list({ min_price: 20, max_price: 19.99 });
    expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
    expect(answer.at("details", "violations", 0, "path")).toBe("/min_price");
  });

  test("in_stock tells what is there from what is sold out", async () => {
    const sold = everything.filter(({ stock_quantity }) => stock_quantity === 0);
    expect(sold.length).toBeGreaterThan(5);
    expect(await all({ in_stock: false })).toEqual(sold);
    expect(await all({ in_stock: true })).toHaveLength(223 - sold.length);
  });

  test("all of them combine, with a search too", async () => {
    const wanted = everything.filter(
      ({ category, price, stock_quantity }) =>
        ["Coffee & Tea", "Coffee Makers", "Teaware"].includes(category) &&
        price >= 20 &&
        price <= 60 &&
        stock_quantity > 0,
    );
    const filters = { category: "Coffee & Tea", min_price: 20, max_price: 60, in_stock: true };
    expect(wanted.length).toBeGreaterThan(5);
    expect(await all({ ...filters, sort: "price" })).toEqual(
      wanted.toSorted((a, b) => a.price - b.price || a.id - b.id),
    );
    const searched = await all({ ...filters, search: "coffee", sort: "-price" });
    expect(searched.length).toBeGreaterThan(1);
    expect(searched.length).toBeLessThan(wanted.length);
    expect(searched).toEqual(
      wanted
        .filter(({ id }) => searched.some((found) => found.id === id))
        .toSorted((a, b) => b.price - a.price || b.id - a.id),
    );
  });
});

describe("facets", () => {
  test("count the whole filtered set, not the page", async () => {
    const answer = await list({ category: "coffee-tea", facets: true, limit: 1 });
    const wanted = everything.filter(({ category }) =>
      ["Coffee & Tea", "Coffee Makers", "Teaware"].includes(category),
    );
    expect(itemsOf(answer)).toHaveLength(1);
    const facet = (name: string, slug: string) => ({
      id: everything.find(({ category }) => category === name)?.category_id,
      name,
      slug,
      count: inCategory(name),
    });
    expect(answer.at("facets")).toEqual({
      categories: [
        facet("Coffee Makers", "coffee-makers"),
        facet("Teaware", "teaware"),
        facet("Coffee & Tea", "coffee-tea"),
      ],
      price: {
        min: Math.min(...wanted.map(({ price }) => price)),
        max: Math.max(...wanted.map(({ price }) => price)),
      },
      in_stock: wanted.filter(({ stock_quantity }) => stock_quantity > 0).length,
    });
  });

  test("stand beside a search, with a typo too, and only when asked for", async () => {
    for (const search of ["headphones", "hedphones"]) {
      const answer = await list({ search, facets: true });
      const found = await all({ search });
      const counts = answer.at("facets", "categories");
      if (!Array.isArray(counts)) throw new Error("There are no facets.");
      const sum = counts.reduce(
        (total: number, facet) =>
          total + (typeof facet === "object" && facet && "count" in facet ? Number(facet.count) : 0),
        0,
      );
      expect(sum).toBe(found.length);
    }
    expect((await list({ search: "headphones" })).at("facets")).toBeUndefined();
    expect((await list({ facets: false })).at("facets")).toBeUndefined();
  });
});
