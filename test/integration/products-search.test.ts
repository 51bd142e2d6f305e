import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Item, itemsOf, visitorOf } from "../helpers/catalogue.ts";
import { eventually } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** What the demo catalogue answers to whoever searches in it. Nothing here changes it. */
let shop: Shop;
let everything: Item[];
const { list, all, names } = visitorOf(() => shop);
beforeAll(async () => {
  shop = await startShop({ env: { SEED: "demo" } });
  await eventually(async () => Number((await list({ in_stock: true })).at("pagination", "total")) > 200);
  everything = await all({});
});
afterAll(() => shop.stop());

describe("search", () => {
  test.each([
    ["Creme brulee", "Crème brûlée torch with 4 porcelain ramekins"],
    ["crème BRÛLÉE", "Crème brûlée torch with 4 porcelain ramekins"],
    ["espresso machine", 'Officina Bellandi "Duetto" dual-boiler espresso machine'],
    ["wireless lite headphones", "Ostrella Calm Lite wireless headphones"],
    ["chefs knife aogami", "Takemori gyūtō chef's knife, 21 cm, Aogami blue steel"],
    ["smorgas", "Smörgås lunch box with wooden lid, 1.2 l"],
    ["土鍋", "Donabe rice cooker (土鍋) from Iga clay, 3 gō"],
    ["  sleeping   bag ", "Fjällby down sleeping bag, comfort -4 °C"],
    ["za'atar", "Za'atar with wild thyme and sumac, 120 g"],
    ["the coffee atlas", "The Coffee Atlas: Forty Origins and How to Brew Them"],
    ["HK-COF-0001", "Café Lisbonne French press coffee maker, 1 litre"],
    ["hk-cof-0008", "Siphon Nº 5 vacuum coffee maker"],
    ["HK-COF-0001 ☕", "Café Lisbonne French press coffee maker, 1 litre"],
    ["€ HK-COF-0001 €", "Café Lisbonne French press coffee maker, 1 litre"],
    ["☕ €", undefined],
    ["stelton OR 1=1", undefined],
    ["qwrtzp", undefined],
  ])("%s finds first %s", async (search, name) => {
    const answer = await list({ search });
    expect([answer.status, itemsOf(answer)[0]?.name]).toEqual([200, name]);
  });

  test.each([
    ["coffe", "coffee"],
    ["hedphones", "headphones"],
    ["headfones", "headphones"],
    ["keybord", "keyboard"],
    ["espreso", "espresso"],
    ["expresso", "espresso"],
    ["notebok", "notebook"],
    ["wireles hedphones", "headphones"],
    ["runing shoes", "running shoes"],
    ["coffe maker", "coffee maker"],
    ["zaatar", "za'atar"],
    ["sleping bag", "sleeping bag"],
  ])("%s is forgiven: it finds %s", async (search, word) => {
    const found = itemsOf(await list({ search }));
    expect(found.length).toBeGreaterThan(0);
    expect(found.slice(0, 3).map(({ name }) => name.toLowerCase().includes(word))).not.toContain(false);
  });

  test("a typo finds what the right word finds in names", async () => {
    const right = everything.filter(({ name }) => name.includes("headphones"));
    expect((await all({ search: "hedphones" })).map(({ id }) => id).toSorted()).toEqual(
      right.map(({ id }) => id).toSorted(),
    );
  });

  test("finds by the beginning of the last word", async () => {
    const whole = await all({ search: "coffee" });
    for (const search of ["coffe", "coff"]) expect(await all({ search })).toHaveLength(whole.length);
    const shoes = await names({ search: "running shoes" });
    expect(shoes.slice(0, 8).every((name) => name.includes("running shoes"))).toBe(true);
    expect((await names({ search: "running sho" })).slice(0, shoes.length).toSorted()).toEqual(
      shoes.toSorted(),
    );
    expect((await names({ search: "runn" })).length).toBeGreaterThan(8);
  });

  test("finds other forms of a word", async () => {
    expect(await names({ search: "coffee makers" })).toEqual(
      expect.arrayContaining(await names({ search: "coffee maker" })),
    );
    expect((await names({ search: "knifes" }))[0]).toMatch(/knife/);
  });

  test("every word must be found", async () => {
    const found = await all({ search: "wireless keyboard" });
    expect(found.length).toBeGreaterThan(0);
    for (const { name, description, category } of found) {
      const text = `${name} ${description} ${category}`.toLowerCase();
      expect([text.includes("wireless"), text.includes("keyboard")]).toEqual([true, true]);
    }
  });

  test.each(["coffee", "running"])(
    "%s: a name counts more than a category, and that more than a description",
    async (search) => {
      const word = new RegExp(search, "i");
      const ranks = (await all({ search })).map(({ name, category }) =>
        word.test(name) ? 0 : word.test(category) ? 1 : 2,
      );
      expect(new Set(ranks)).toEqual(new Set([0, 1, 2]));
      expect(ranks).toEqual(ranks.toSorted());
    },
  );

  test("ties stand in order of id, and pages don't overlap", async () => {
    const whole = await all({ search: "coffee" });
    const paged = [];
    for (let page = 1; page <= 9; page++)
      paged.push(...itemsOf(await list({ search: "coffee", limit: 3, page })));
    expect(paged).toEqual(whole);
    expect(await all({ search: "coffee", sort: "relevance" })).toEqual(whole);
  });

  test("sorts as asked", async () => {
    const prices = (await all({ search: "coffee", sort: "price" })).map(({ price }) => price);
    expect(prices).toEqual(prices.toSorted((a, b) => a - b));
    const typo = (await all({ search: "hedphones", sort: "-price" })).map(({ price }) => price);
    expect(typo).toEqual(typo.toSorted((a, b) => b - a));
  });

  test("filters that leave nothing of what was found don't make a typo of it", async () => {
    const answer = await list({ search: "turntable", max_price: 1 });
    expect(answer.at("products")).toEqual([]);
    expect((await list({ search: "hedphones", max_price: 40 })).at("pagination", "total")).toBe(1);
  });

  test.each([
    "!!!",
    "'",
    "\\",
    "%",
    "*",
    ":*",
    "& | !",
    "<->",
    "()",
    "''':*'",
    "the",
    "the of a",
    "of",
    "–",
    "“”",
    "😀",
    "\u200b",
  ])("takes %j", async (search) => {
    expect((await list({ search, facets: true })).status).toBe(200);
  });

  test("punctuation alone finds nothing, blanks alone are no search", async () => {
    expect((await list({ search: "!!! ..." })).at("pagination", "total")).toBe(0);
    expect((await list({ search: "   " })).at("pagination", "total")).toBe(223);
    expect((await list({ search: "", category: "" })).at("pagination", "total")).toBe(223);
  });

  test("takes the longest search, of one word or many", async () => {
    for (const search of ["é".repeat(200), "ab ".repeat(66), "土".repeat(200), "a ".repeat(100)]) {
      expect((await list({ search })).status).toBe(200);
    }
  });
});
