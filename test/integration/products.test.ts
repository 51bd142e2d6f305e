import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { adminToken, givenProduct, send } from "../helpers/client.ts";
import { runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
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

describe("POST /products", () => {
  test("adds a product with all its fields", async () => {
    const category_id = await givenCategory("Crockery");
    const given = {
      sku: newSku(),
      name: "Café au lait bowl",
      description: "Stoneware, 400 ml.\nDishwasher-safe.",
      price: 19.99,
      currency: "CHF",
      category_id,
      images: ["https://images.example.com/bowl.jpg", "/local/bowl-2.jpg"],
      stock_quantity: 7,
    };
    const answer = await products("POST", "", given);
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      ...given,
      id: expect.any(Number),
      category: "Crockery",
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      updated_at: answer.at("created_at"),
    });
    const shown = await send(shop, "GET", `/api/products/${answer.at("id")}`);
    expect(shown.status).toBe(200);
    expect(shown.body).toEqual(answer.body);
  });

  test("needs no more than name and price, and gives a SKU of its own", async () => {
    const first = await products("POST", "", { name: "Bowl", price: 0 });
    const second = await products("POST", "", { name: "Bowl", price: 1_000_000 });
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(first.body).toMatchObject({
      description: "",
      price: 0,
      currency: "EUR",
      category: null,
      category_id: null,
      images: [],
      stock_quantity: 0,
    });
    expect(second.at("price")).toBe(1_000_000);
    expect(first.at("sku")).toMatch(/^P-[0-9A-F]{12}$/);
    expect(second.at("sku")).not.toBe(first.at("sku"));
  });

  test("takes the category by name or slug, whatever its case and accents", async () => {
    const mark = newId().slice(-12);
    const id = await givenCategory(`Pâtisserie & Öfen ${mark}`);
    for (const category of [
      `patisserie-ofen-${mark}`,
      `PATISSERIE & ofen ${mark}`,
      `Pâtisserie & Öfen ${mark}`,
    ]) {
      const answer = await products("POST", "", { name: "Tin", price: 1, category });
      expect([category, answer.status, answer.at("category_id")]).toEqual([category, 201, id]);
    }
    const both = await products("POST", "", {
      name: "Tin",
      price: 1,
      category: `patisserie-ofen-${mark}`,
      category_id: id,
    });
    expect(both.at("category_id")).toBe(id);
  });

  test("refuses a category that is unknown, unclear, or two different ones", async () => {
    const mark = newId().slice(-12);
    const [one, other] = [await givenCategory(`Twin ${mark}`), await givenCategory(`twin ${mark}`)];
    for (const [path, fields] of [
      ["/category_id", { category_id: MAX_INT }],
      ["/category", { category: `nothing-${mark}` }],
      ["/category", { category: "" }],
      ["/category", { category: `Twín ${mark}` }],
      ["/category", { category: `twin-${mark}-2`, category_id: one }],
    ] as const) {
      const answer = await products("POST", "", { name: "Tin", price: 1, ...fields });
      expect([fields, answer.status, answer.at("details", "violations", 0, "path")]).toEqual([
        fields,
        422,
        path,
      ]);
    }
    // A slug goes before a name that looks the same.
    const answer = await products("POST", "", { name: "Tin", price: 1, category: `twin-${mark}-2` });
    expect(answer.at("category_id")).toBe(other);
  });

  test.each([
    ["/name", { name: "" }],
    ["/name", { name: "   " }],
    ["/name", { name: "x".repeat(201) }],
    ["/name", { name: 5 }],
    ["/description", { description: "x".repeat(5001) }],
    ["/price", { price: -0.01 }],
    ["/price", { price: 1_000_000.01 }],
    ["/price", { price: 1.999 }],
    ["/price", { price: "1.99" }],
    ["/price", { price: null }],
    ["/currency", { currency: "eur" }],
    ["/sku", { sku: "" }],
    ["/sku", { sku: "-x" }],
    ["/sku", { sku: "x".repeat(65) }],
    ["/sku", { sku: "a b" }],
    ["/category_id", { category_id: 0 }],
    ["/category_id", { category_id: MAX_INT + 1 }],
    ["/images", { images: "https://images.example.com/1.jpg" }],
    ["/images/0", { images: [""] }],
    ["/images", { images: Array.from({ length: 21 }, () => "/1.jpg") }],
    ["/stock_quantity", { stock_quantity: -1 }],
    ["/stock_quantity", { stock_quantity: 1.5 }],
    ["/stock_quantity", { stock_quantity: 1_000_000_001 }],
    ["/id", { id: 5 }],
    ["/stock_version", { stock_version: 5 }],
    ["/withdrawn_at", { withdrawn_at: null }],
  ])("refuses %s in %j", async (path, fields) => {
    const answer = await products("POST", "", { name: "Bowl", price: 1, ...fields });
    expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
    expect(answer.at("details", "violations", 0, "path")).toBe(path);
  });

  test("takes the longest texts and the largest stock", async () => {
    const longest = {
      sku: `L${"x".repeat(63)}`,
      name: "ß".repeat(200),
      description: "é".repeat(5000),
      price: 0.01,
      stock_quantity: 1_000_000_000,
    };
    const answer = await products("POST", "", longest);
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject(longest);
  });

  test.each([
    ["{", 400, "MALFORMED_REQUEST"],
    ["[]", 400, "MALFORMED_REQUEST"],
    ['{"name":"a\\u0000b","price":1}', 400, "MALFORMED_REQUEST"],
    ['{"__proto__":{},"name":"a","price":1}', 400, "MALFORMED_REQUEST"],
    ["{}", 422, "VALIDATION_FAILED"],
  ])("refuses the body %s", async (body, status, code) => {
    const answer = await products("POST", "", body);
    expect([answer.status, answer.at("code")]).toEqual([status, code]);
  });

  test("refuses a SKU that is in use, whatever its case, and says which", async () => {
    const sku = newSku();
    await givenProduct(shop, admin, { sku });
    const answer = await products("POST", "", { name: "Bowl", price: 1, sku: sku.toUpperCase() });
    expect([answer.status, answer.at("code")]).toEqual([409, "SKU_TAKEN"]);
    expect(answer.at("details")).toEqual({ sku: sku.toUpperCase() });
  });

  test("of many creates of one SKU at once one succeeds, and nothing stays of the others", async () => {
    const sku = newSku();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        products("POST", "", { name: "Bowl", price: 1, sku, stock_quantity: 3 }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409, 409, 409]);
    const winner = answers.find(({ status }) => status === 201)?.at("id");
    expect((await products("GET", `?search=${sku}`)).at("pagination", "total")).toBe(1);
    const stocked = await runSql<{ product_id: number }>(
      shop,
      `SELECT product_id FROM inventory.levels WHERE on_hand > 0 AND product_id NOT IN (SELECT id FROM products.products)`,
    );
    expect(stocked).toEqual([]);
    expect((await products("GET", `/${winner}`)).at("stock_quantity")).toBe(3);
  });
});

describe("GET /products/:id", () => {
  test.each([
    ["999999", 404, "NOT_FOUND"],
    [String(MAX_INT), 404, "NOT_FOUND"],
    [String(MAX_INT + 1), 422, "VALIDATION_FAILED"],
    ["0", 422, "VALIDATION_FAILED"],
    ["-1", 422, "VALIDATION_FAILED"],
    ["abc", 422, "VALIDATION_FAILED"],
    ["1'%20OR%20'1'='1", 422, "VALIDATION_FAILED"],
    ["%00", 400, "MALFORMED_REQUEST"],
  ])("answers %s with %i", async (id, status, code) => {
    const answer = await send(shop, "GET", `/api/products/${id}`);
    expect([answer.status, answer.at("code")]).toEqual([status, code]);
  });

  test("refuses an unknown parameter also when the answer without it is cached", async () => {
    const id = await givenProduct(shop, admin);
    for (let time = 0; time < 2; time++) {
      expect((await send(shop, "GET", `/api/products/${id}`)).status).toBe(200);
      expect((await send(shop, "GET", `/api/products/${id}?verbose=1`)).status).toBe(422);
      expect((await send(shop, "GET", "/api/products?limit=1")).status).toBe(200);
      expect((await send(shop, "GET", "/api/products?limit=1&colour=red")).status).toBe(422);
    }
  });
});
