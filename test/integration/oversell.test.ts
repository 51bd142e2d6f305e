import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import {
  type Answer,
  adminToken,
  eventually,
  givenProduct,
  givenUser,
  send,
  type TestUser,
} from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** The promise under a crowd, with every service real: never oversold, never charged twice. */

let shop: Shop;
let admin: string;
let buyers: TestUser[];

beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
  buyers = [];
  for (let batch = 0; batch < 10; batch++) {
    buyers.push(...(await Promise.all(Array.from({ length: 20 }, () => givenUser(shop)))));
  }
}, 60_000);
afterAll(async () => await shop?.stop());

const buy = (buyer: TestUser, product: number, headers: Record<string, string> = {}) =>
  send(
    shop,
    "POST",
    "/api/orders",
    {
      shipping_address: "12 Analytical Row",
      items: [{ product_id: product, quantity: 1 }],
      payment_method: "pm_card_visa",
    },
    { token: buyer.token, headers },
  );
const count = (answers: Answer[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

async function expectClean(): Promise<void> {
  await eventually(
    async () =>
      (await send(shop, "GET", "/api/admin/sagas", undefined, { token: admin })).at("pagination", "total") ===
      0,
  );
  const report = await send(shop, "GET", "/api/admin/verify", undefined, { token: admin });
  expect(report.body).toMatchObject({ ok: true });
}

describe("200 buyers at once for the last 10 units", () => {
  it("make exactly 10 orders and 190 clean refusals", async () => {
    const product = await givenProduct(shop, admin, { stock_quantity: 10 });
    const answers = await Promise.all(buyers.map((buyer) => buy(buyer, product)));
    expect({ created: count(answers, 201), conflicts: count(answers, 409) }).toEqual({
      created: 10,
      conflicts: 190,
    });
    for (const answer of answers)
      if (answer.status === 409) expect(answer.at("code")).toBe("INSUFFICIENT_STOCK");
    expect((await send(shop, "GET", `/api/products/${product}`)).at("stock_quantity")).toBe(0);
    await expectClean();
  }, 60_000);
});

describe("50 equal submits under one key", () => {
  it("make one order and one charge", async () => {
    const product = await givenProduct(shop, admin, { stock_quantity: 100 });
    const [buyer] = buyers;
    if (!buyer) throw new Error("There are buyers");
    const key = newId();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => buy(buyer, product, { "idempotency-key": key })),
    );
    const ids = new Set(
      answers.flatMap((answer) => (answer.status === 201 ? [String(answer.at("order", "id"))] : [])),
    );
    expect(ids.size).toBe(1);
    expect(count(answers, 201) + count(answers, 409)).toBe(50);
    const [order] = ids;
    const payments = await send(shop, "GET", `/api/orders/${order}/payments`, undefined, {
      token: buyer.token,
    });
    expect(payments.body.payments).toMatchObject([{ status: "captured", amount: 29.99 }]);
    expect((await send(shop, "GET", `/api/products/${product}`)).at("stock_quantity")).toBe(99);
    await expectClean();
  }, 60_000);
});

describe("carts with the same products in opposite order", () => {
  it("never deadlock", async () => {
    const [a, b] = [
      await givenProduct(shop, admin, { stock_quantity: 1000 }),
      await givenProduct(shop, admin, { stock_quantity: 1000 }),
    ];
    const order = (buyer: TestUser, ids: number[]) =>
      send(
        shop,
        "POST",
        "/api/orders",
        {
          shipping_address: "x",
          items: ids.map((product_id) => ({ product_id, quantity: 1 })),
          payment_method: "pm_card_visa",
        },
        { token: buyer.token },
      );
    const answers = await Promise.all(
      buyers.slice(0, 60).map((buyer, index) => order(buyer, index % 2 === 0 ? [a, b] : [b, a])),
    );
    expect(count(answers, 201)).toBe(60);
    await expectClean();
  }, 60_000);
});
