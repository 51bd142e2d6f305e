import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { adminToken, givenProduct, givenUser, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let admin: string;
let customer: string;
beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
  customer = (await givenUser(shop)).token;
});
afterAll(() => shop.stop());

const products = (method: string, path = "", body?: object | string, token = admin) =>
  send(shop, method, `/api/products${path}`, body, { token });
const newSku = () => `T-${newId()}`;
const MAX_INT = 2_147_483_647;

async function givenCategory(name = `Category ${newId()}`): Promise<number> {
  const answer = await send(shop, "POST", "/api/categories", { name }, { token: admin });
  expect(answer.status).toBe(201);
  return Number(answer.at("id"));
}

describe.each(["PUT", "PATCH"])("%s /products/:id", (method) => {
  test("changes what is given and nothing else", async () => {
    const id = await givenProduct(shop, admin, { stock_quantity: 4 });
    const before = (await products("GET", `/${id}`)).body;
    const changes = {
      name: "Teapot",
      price: 5.05,
      description: "New.",
      images: ["/1.jpg"],
      currency: "USD",
      sku: newSku(),
    };
    const answer = await products(method, `/${id}`, changes);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ ...before, ...changes, updated_at: expect.any(String) });
    expect(Date.parse(String(answer.at("updated_at")))).toBeGreaterThan(
      Date.parse(String(before.updated_at)),
    );
    expect((await products("GET", `/${id}`)).body).toEqual(answer.body);
  });

  test("moves it into a category, and out of it", async () => {
    const id = await givenProduct(shop, admin);
    const name = `Category ${newId()}`;
    const category_id = await givenCategory(name);
    expect((await products(method, `/${id}`, { category: name })).body).toMatchObject({
      category: name,
      category_id,
    });
    expect((await products(method, `/${id}`, { price: 2 })).body).toMatchObject({
      category: name,
      category_id,
    });
    expect((await products(method, `/${id}`, { category_id: null })).body).toMatchObject({
      category: null,
      category_id: null,
    });
  });

  test("keeps its own SKU, and takes nobody else's", async () => {
    const [mine, other] = [newSku(), newSku()];
    const id = await givenProduct(shop, admin, { sku: mine });
    await givenProduct(shop, admin, { sku: other });
    expect((await products(method, `/${id}`, { sku: mine.toUpperCase() })).at("sku")).toBe(
      mine.toUpperCase(),
    );
    const refused = await products(method, `/${id}`, { name: "Changed", sku: other.toUpperCase() });
    expect([refused.status, refused.at("code")]).toEqual([409, "SKU_TAKEN"]);
    expect((await products("GET", `/${id}`)).at("name")).not.toBe("Changed");
  });

  test.each([
    [422, { price: -1 }],
    [422, { name: " " }],
    [422, { stock_quantity: 5 }],
    [422, { category_id: MAX_INT }],
    [422, { created_at: "2026-01-01T00:00:00.000Z" }],
    [400, { id: 7 }],
  ])("answers %i to %j", async (status, changes) => {
    const id = await givenProduct(shop, admin);
    const before = (await products("GET", `/${id}`)).body;
    expect((await products(method, `/${id}`, changes)).status).toBe(status);
    expect((await products("GET", `/${id}`)).body).toEqual(before);
  });

  test("answers 404 for a product that isn't there", async () => {
    expect((await products(method, `/${MAX_INT}`, { price: 1 })).status).toBe(404);
  });
});

describe("DELETE /products/:id", () => {
  test("withdraws the product from everywhere", async () => {
    const mark = newId();
    const sku = newSku();
    const id = await givenProduct(shop, admin, { name: `Relic ${mark}`, sku });
    const seen = () => products("GET", `?search=${mark}&facets=true`);
    expect((await seen()).at("pagination", "total")).toBe(1);
    const answer = await products("DELETE", `/${id}`);
    expect(answer.status).toBe(204);
    expect((await seen()).body).toMatchObject({
      products: [],
      pagination: { total: 0 },
      facets: { categories: [], price: null, in_stock: 0 },
    });
    expect((await products("GET", `?ids=${id}`)).at("products")).toEqual([]);
    for (const [method, path, body] of [
      ["GET", "", undefined],
      ["PATCH", "", { price: 1 }],
      ["PUT", "/stock", { quantity: 1 }],
      ["PATCH", "/stock", { change: 1 }],
      ["DELETE", "", undefined],
    ] as const) {
      expect([method, path, (await products(method, `/${id}${path}`, body)).status]).toEqual([
        method,
        path,
        404,
      ]);
    }
    expect(await shop.call("products.quote", { ids: [id] })).toEqual([]);
  });

  test("gives its SKU free", async () => {
    const sku = newSku();
    const id = await givenProduct(shop, admin, { sku });
    await products("DELETE", `/${id}`);
    expect(await givenProduct(shop, admin, { sku })).not.toBe(id);
  });

  test("answers 404 for a product that isn't there", async () => {
    expect((await products("DELETE", `/${MAX_INT}`)).status).toBe(404);
  });
});

describe("who may change the catalogue", () => {
  test.each([
    ["POST", "/api/products", { name: "x", price: 1 }],
    ["PUT", "/api/products/1", { price: 1 }],
    ["PATCH", "/api/products/1", { price: 1 }],
    ["DELETE", "/api/products/1", undefined],
    ["PUT", "/api/products/1/stock", { quantity: 1 }],
    ["PATCH", "/api/products/1/stock", { change: 1 }],
    ["POST", "/api/categories", { name: "x" }],
    ["PUT", "/api/categories/1", { name: "x" }],
    ["DELETE", "/api/categories/1", undefined],
  ])("%s %s is for admins only", async (method, path, body) => {
    expect((await send(shop, method, path, body)).status).toBe(401);
    expect((await send(shop, method, path, body, { token: "not.a.token" })).status).toBe(401);
    const refused = await send(shop, method, path, body, { token: customer });
    expect([refused.status, refused.at("code")]).toEqual([403, "FORBIDDEN"]);
  });

  test("an import is for admins only", async () => {
    const headers = { "content-type": "application/x-ndjson" };
    const line = JSON.stringify({ sku: newSku(), name: "x", price: 1 });
    expect((await send(shop, "POST", "/api/products/import", line, { headers })).status).toBe(401);
    expect(
      (await send(shop, "POST", "/api/products/import", line, { headers, token: customer })).status,
    ).toBe(403);
  });
});

describe("products.quote and products.count", () => {
  test("a product in another currency than orders is shown, and not sold at the same number of that", async () => {
    const id = await givenProduct(shop, admin, { currency: "JPY", price: 1500, stock_quantity: 5 });
    expect((await products("GET", `/${id}`)).body).toMatchObject({ currency: "JPY", price: 1500 });
    const body = { shipping_address: "12 Analytical Row", items: [{ product_id: id, quantity: 1 }] };
    const order = await send(shop, "POST", "/api/orders", body, { token: customer });
    expect([order.status, order.at("code"), order.at("details", "product_ids", 0)]).toEqual([
      409,
      "PRODUCT_UNAVAILABLE",
      id,
    ]);
    expect((await send(shop, "POST", "/api/cart/items", { product_id: id })).status).toBe(404);
  });

  test("quote tells today's name and price in minor units, and leaves out what isn't sold", async () => {
    const [a, b, gone] = [
      await givenProduct(shop, admin, { name: "A", price: 0.29, sku: newSku() }),
      await givenProduct(shop, admin, { name: "B", price: 1_000_000 }),
      await givenProduct(shop, admin),
    ];
    await products("DELETE", `/${gone}`);
    const quotes = await shop.call("products.quote", { ids: [b, gone, a, MAX_INT, a] });
    expect(quotes).toEqual([
      { product_id: a, sku: expect.any(String), name: "A", unit_price: 29, currency: "EUR" },
      { product_id: b, sku: expect.any(String), name: "B", unit_price: 100_000_000, currency: "EUR" },
    ]);
    await products("PATCH", `/${a}`, { price: 0.3 });
    expect(await shop.call("products.quote", { ids: [a] })).toMatchObject([{ unit_price: 30 }]);
  });

  test("count counts the withdrawn ones too", async () => {
    const before = await shop.call("products.count", {});
    const id = await givenProduct(shop, admin);
    await products("DELETE", `/${id}`);
    expect(await shop.call("products.count", {})).toBe(before + 1);
  });
});
