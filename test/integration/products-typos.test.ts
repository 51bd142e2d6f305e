import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { visitorOf } from "../helpers/catalogue.ts";
import { adminToken, givenProduct, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** Words that the shop learns as its catalogue changes, and what it makes of words that are almost these. */
let shop: Shop;
let token: string;
const { names } = visitorOf(() => shop);
beforeAll(async () => {
  shop = await startShop();
  token = await adminToken(shop);
});
afterAll(() => shop.stop());

const given = (name: string) => givenProduct(shop, token, { name });
const importLines = (...lines: object[]) =>
  send(shop, "POST", "/api/products/import", lines.map((line) => `${JSON.stringify(line)}\n`).join(""), {
    token,
    headers: { "content-type": "application/x-ndjson" },
  });

it("forgives a typo in a word that came with a new product, with an import, or with another name", async () => {
  const id = await given("Zirconium teapot");
  expect(await names({ search: "zircnium" })).toEqual(["Zirconium teapot"]);

  const sku = "TYPO-1";
  await importLines({ sku, name: "Marmalade jar", price: 5 }, { sku: "TYPO-2", name: "Jar", price: 5 });
  expect(await names({ search: "marmelade" })).toEqual(["Marmalade jar"]);
  await importLines({ sku, name: "Persimmon jar", price: 5 });
  expect(await names({ search: "persimon" })).toEqual(["Persimmon jar"]);
  expect(await names({ search: "marmelade" })).toEqual([]);

  await send(shop, "PATCH", `/api/products/${id}`, { name: "Vermilion teapot" }, { token });
  expect(await names({ search: "vermillon" })).toEqual(["Vermilion teapot"]);
  await send(shop, "DELETE", `/api/products/${id}`, undefined, { token });
  expect(await names({ search: "vermillon" })).toEqual([]);
});

it("puts what is spelled most like it first, and what has the other words where they belong", async () => {
  await given("Espresso cups");
  await given("Express delivery");
  await given("Express cups");
  expect(await names({ search: "expresso" })).toEqual(["Express delivery", "Express cups", "Espresso cups"]);
  expect(await names({ search: "expresso cups" })).toEqual(["Express cups", "Espresso cups"]);
});

it("takes two words written as one", async () => {
  await given("Cutting board");
  await given("Cutting wheel, with a board");
  await given("Phone 15");
  expect((await names({ search: "cuttingboard" }))[0]).toBe("Cutting board");
  expect(await names({ search: "phone15" })).toEqual(["Phone 15"]);
});

it("takes no number for another", async () => {
  await given("Filter 10234");
  expect(await names({ search: "filtr 10234" })).toEqual(["Filter 10234"]);
  expect(await names({ search: "filtr 10235" })).toEqual([]);
});
