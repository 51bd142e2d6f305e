import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { adminToken, givenProduct, send } from "../helpers/client.ts";
import { CSV, importsOf, linesOf, NDJSON, newMark } from "../helpers/imports.ts";
import { inventoryOf } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
});
afterAll(() => shop.stop());

const { upload, kept } = importsOf(() => ({ shop, admin }));

describe("POST /products/import", () => {
  test("takes 5,000 lines over, and reports the bad ones among them", async () => {
    const mark = newMark();
    const lines = Array.from({ length: 5000 }, (_, n) => {
      const sku = `${mark}${String(n + 1).padStart(4, "0")}`;
      if (n % 1000 === 499) return `{"sku":"${sku}"`;
      if (n % 1000 === 999) return JSON.stringify({ sku, name: "No price" });
      return JSON.stringify({ sku, name: `Cup ${n + 1}`, price: (n % 500) / 100, stock_quantity: n % 7 });
    });
    const answer = await upload(lines.join("\n"));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ created: 4990, updated: 0, rejected_total: 10 });
    expect(answer.at("rejected")).toEqual(
      [500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000].map((line) => ({
        line,
        code: line % 1000 === 500 ? "MALFORMED_REQUEST" : "VALIDATION_FAILED",
        error: expect.any(String),
      })),
    );
    const rows = await kept(mark);
    expect(rows).toHaveLength(4990);
    expect(rows[1232]).toEqual({ sku: `${mark}1235`, name: "Cup 1235", price: 234, stock_quantity: 2 });
    expect(rows.every(({ sku, stock_quantity }) => stock_quantity === (Number(sku.slice(-4)) - 1) % 7)).toBe(
      true,
    );

    const again = await upload(lines.join("\n"));
    expect(again.body).toMatchObject({ created: 0, updated: 4990, rejected_total: 10 });
    expect(await kept(mark)).toEqual(rows);
  });

  test("takes CSV as spreadsheets write it", async () => {
    const mark = newMark();
    const category = `Crème ${mark}`;
    const added = await send(shop, "POST", "/api/categories", { name: category }, { token: admin });
    const answer = await upload(
      [
        "\ufeffSKU,Name,Description,Price,Category,Category_id,Currency,Images,Stock_quantity",
        `${mark}1,"Bowl, large","It says ""hello""`,
        `on two lines",12.5,${category},,CHF,/1.jpg|/2.jpg,4`,
        `${mark}2,Bad price,,cheap,,,,,`,
        `${mark}3,27" screen,,199,,${added.at("id")},,,`,
        "",
      ].join("\r\n"),
      "text/csv; charset=utf-8",
    );
    expect(answer.body).toEqual({
      created: 2,
      updated: 0,
      rejected: [{ line: 4, code: "VALIDATION_FAILED", error: expect.stringContaining("/price") }],
      rejected_total: 1,
    });
    const found = await send(shop, "GET", `/api/products?search=${mark}&sort=price`);
    expect(found.at("products")).toMatchObject([
      {
        sku: `${mark}1`,
        name: "Bowl, large",
        description: 'It says "hello"\r\non two lines',
        price: 12.5,
        currency: "CHF",
        category,
        images: ["/1.jpg", "/2.jpg"],
        stock_quantity: 4,
      },
      { sku: `${mark}3`, name: '27" screen', price: 199, currency: "EUR", category, stock_quantity: 0 },
    ]);
  });

  test("shows at once what it changed, and leaves alone what a line doesn't say", async () => {
    const mark = newMark();
    const sku = `${mark}a`;
    const id = await givenProduct(shop, admin, { sku, name: "Old", price: 1, stock_quantity: 9 });
    const before = (await send(shop, "GET", `/api/products/${id}`)).body;
    await send(
      shop,
      "PATCH",
      `/api/products/${id}`,
      { description: "Kept.", images: ["/k.jpg"] },
      { token: admin },
    );
    const answer = await upload(linesOf({ sku: sku.toUpperCase(), name: "New", price: 2.5 }));
    expect(answer.body).toMatchObject({ created: 0, updated: 1, rejected_total: 0 });
    expect((await send(shop, "GET", `/api/products/${id}`)).body).toEqual({
      ...before,
      sku: sku.toUpperCase(),
      name: "New",
      price: 2.5,
      description: "Kept.",
      images: ["/k.jpg"],
      updated_at: expect.any(String),
    });
  });

  test("writes nothing of a line that says what is so already", async () => {
    const mark = newMark();
    const all = { description: "Kept.", currency: "EUR", images: ["/k.jpg"], stock_quantity: 3 };
    const lines = [
      { sku: `${mark}a`, name: "As it is", price: 2.5, ...all },
      { sku: `${mark}b`, name: "Dearer", price: 2.5 },
    ];
    await upload(linesOf(...lines));
    const ask = async () =>
      (await send(shop, "GET", `/api/products?search=${mark}&sort=name`)).at("products");
    const before = await ask();
    const answer = await upload(linesOf({ ...lines[0] }, { ...lines[1], price: 3 }));
    expect(answer.body).toEqual({ created: 0, updated: 2, rejected: [], rejected_total: 0 });
    expect(await ask()).toMatchObject([
      Object(before)[0],
      { name: "Dearer", price: 3, updated_at: expect.not.stringMatching(Object(before)[1].updated_at) },
    ]);
  });

  test("of lines with the same SKU the last counts, in one batch or several", async () => {
    const mark = newMark();
    const filler = Array.from({ length: 600 }, (_, n) => ({ sku: `${mark}f${n}`, name: "Filler", price: 1 }));
    const answer = await upload(
      linesOf(
        { sku: `${mark}A`, name: "First", price: 1, description: "Said once.", stock_quantity: 5 },
        { sku: `${mark}a`, name: "Second", price: 2 },
        { sku: `${mark}b`, name: "First", price: 1, stock_quantity: 5 },
        ...filler,
        { sku: `${mark}b`, name: "Last", price: 3, stock_quantity: 8 },
      ),
    );
    expect(answer.body).toMatchObject({ created: 602, updated: 2, rejected_total: 0 });
    expect((await kept(mark)).filter(({ name }) => name !== "Filler")).toEqual([
      { sku: `${mark}a`, name: "Second", price: 200, stock_quantity: 5 },
      { sku: `${mark}b`, name: "Last", price: 300, stock_quantity: 8 },
    ]);
    expect((await send(shop, "GET", `/api/products?search=${mark}a`)).at("products", 0, "description")).toBe(
      "Said once.",
    );
  });

  test("rejects a line whose category is unknown, and no other", async () => {
    const mark = newMark();
    const name = `Shelf ${mark}`;
    const category_id = (await send(shop, "POST", "/api/categories", { name }, { token: admin })).at("id");
    const line = (sku: string, fields: object) => ({
      sku: `${mark}${sku}`,
      name: "Cup",
      price: 1,
      ...fields,
    });
    const answer = await upload(
      linesOf(
        line("1", { category_id }),
        line("2", { category_id: 2_147_483_647 }),
        line("3", { category: "no-such-category" }),
        line("4", { category: name.toUpperCase() }),
        line("5", { category: name, category_id: null }),
        line("6", { category_id: null }),
      ),
    );
    expect(answer.body).toEqual({
      created: 3,
      updated: 0,
      rejected: [
        { line: 2, code: "VALIDATION_FAILED", error: expect.stringContaining("/category_id") },
        { line: 3, code: "VALIDATION_FAILED", error: expect.stringContaining("/category") },
        { line: 5, code: "VALIDATION_FAILED", error: expect.stringContaining("/category") },
      ],
      rejected_total: 3,
    });
    expect((await kept(mark)).map(({ sku }) => sku.slice(-1))).toEqual(["1", "4", "6"]);
  });

  test("says so where stock can't go below what is reserved, and saves the rest of the line", async () => {
    const mark = newMark();
    const id = await givenProduct(shop, admin, { sku: `${mark}1`, stock_quantity: 5 });
    await inventoryOf(shop).reserved({ product_id: id, quantity: 3 });
    const answer = await upload(
      linesOf(
        { sku: `${mark}1`, name: "Renamed", price: 2, stock_quantity: 2 },
        { sku: `${mark}2`, name: "Other", price: 2, stock_quantity: 2 },
      ),
    );
    expect(answer.body).toMatchObject({
      created: 1,
      updated: 1,
      rejected: [{ line: 1, code: "BELOW_RESERVED", error: expect.stringContaining("3 are reserved") }],
      rejected_total: 1,
    });
    expect(await kept(mark)).toMatchObject([
      { name: "Renamed", stock_quantity: 2 },
      { name: "Other", stock_quantity: 2 },
    ]);
    expect(await inventoryOf(shop).level(id)).toMatchObject({ on_hand: 5, reserved: 3 });
  });

  test("lists the first 1,000 rejected lines and counts the others", async () => {
    const mark = newMark();
    const answer = await upload(
      `${"nonsense\n".repeat(1500)}${linesOf({ sku: `${mark}1`, name: "Cup", price: 1 })}`,
    );
    expect(answer.body).toMatchObject({ created: 1, updated: 0, rejected_total: 1500 });
    const rejected = answer.at("rejected");
    expect(Array.isArray(rejected) && rejected.length).toBe(1000);
    expect(answer.at("rejected", 999, "line")).toBe(1000);
  });

  test("passes over a line that is too long, without keeping it", async () => {
    const mark = newMark();
    const answer = await upload(
      linesOf(
        { sku: `${mark}1`, name: "Cup", price: 1 },
        { sku: `${mark}2`, name: "x".repeat(1_200_000), price: 1 },
        {
          sku: `${mark}3`,
          name: "Cup",
          price: 1,
        },
      ),
    );
    expect(answer.body).toMatchObject({
      created: 2,
      rejected: [{ line: 2, code: "PAYLOAD_TOO_LARGE" }],
      rejected_total: 1,
    });
  });

  test.each([NDJSON, CSV])("nothing comes of an empty body of %s", async (type) => {
    expect((await upload("", type)).body).toEqual({
      created: 0,
      updated: 0,
      rejected: [],
      rejected_total: 0,
    });
    expect((await upload("\n\n", type)).body).toMatchObject({ created: 0, rejected_total: 0 });
  });

  test.each(["application/json", "text/plain", "multipart/form-data"])(
    "refuses a body of %s",
    async (type) => {
      const answer = await upload(linesOf({ sku: "X-1", name: "x", price: 1 }), type);
      expect([answer.status, answer.at("code")]).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
    },
  );

  test("refuses a compressed body", async () => {
    const headers = { "content-type": CSV, "content-encoding": "gzip" };
    const body = "sku,name,price\nX-1,x,1\n";
    const answer = await send(shop, "POST", "/api/products/import", body, { token: admin, headers });
    expect([answer.status, answer.at("code")]).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
  });

  test("refuses CSV whose header can't be right, and reads what follows into nothing", async () => {
    for (const rows of [1, 200_000]) {
      const answer = await upload(`sku,title,price\n${"A,x,1\n".repeat(rows)}`, CSV);
      expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
      expect(answer.at("details", "violations", 0)).toEqual({
        path: "/header",
        message: expect.stringContaining("title"),
      });
    }
  });
});
