import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Buyer, buyerOf, type Named, newCartToken } from "../helpers/buyer.ts";
import { send } from "../helpers/client.ts";
import { FakeMarket, FakePeople } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const market = new FakeMarket();
const people = new FakePeople();
let shop: Shop;

beforeAll(async () => {
  shop = await startShop({ replace: { ...market.services, ...people.services } });
});
afterAll(() => shop.stop());

const buyer = (named: Named = { cartToken: newCartToken() }): Buyer => buyerOf(shop, named);

describe("a guest's cart", () => {
  test("is named by the token that the first answer gives", async () => {
    const product = market.add();
    const first = await buyer({}).get();
    expect(first.status).toBe(200);
    expect(first.body).toEqual({ items: [], total_amount: 0, total_items: 0, expires_at: null });
    const token = first.headers.get("x-cart-token") ?? "";
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);

    const guest = buyer({ cartToken: token });
    const added = await guest.add(product);
    expect(added.headers.get("x-cart-token")).toBeNull();
    expect((await guest.get()).at("items", 0, "product_id")).toBe(product);
  });

  test("starts with a first POST, too, and no two guests share one", async () => {
    const product = market.add();
    const [one, other] = await Promise.all([buyer({}).add(product), buyer({}).add(product, 2)]);
    expect([one?.status, other?.status]).toEqual([201, 201]);
    const token = one?.headers.get("x-cart-token") ?? "";
    expect(token).not.toBe(other?.headers.get("x-cart-token"));
    expect((await buyer({ cartToken: token }).get()).at("total_items")).toBe(1);
  });

  test("keeps a token that the shop does not know (any more)", async () => {
    const product = market.add();
    const guest = buyer();
    expect((await guest.get()).body).toMatchObject({ items: [], total_items: 0 });
    await guest.add(product, 3);
    expect((await guest.get()).at("total_items")).toBe(3);
  });

  test("is refused under a token that is none", async () => {
    expect((await buyer({ cartToken: "no token!" }).get()).status).toBe(400);
  });
});

describe("adding", () => {
  test("answers 201 with the whole cart at the catalogue's prices", async () => {
    const [coffee, mug] = [
      market.add({ name: "Coffee maker", price: 2999, available: 10 }),
      market.add({ name: "Mug", price: 750, available: 4 }),
    ];
    const guest = buyer();
    await guest.add(coffee, 2);
    const answer = await guest.add(mug);
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      items: [
        {
          product_id: coffee,
          product_name: "Coffee maker",
          product_price: 29.99,
          quantity: 2,
          subtotal: 59.98,
          stock_available: 10,
        },
        {
          product_id: mug,
          product_name: "Mug",
          product_price: 7.5,
          quantity: 1,
          subtotal: 7.5,
          stock_available: 4,
        },
      ],
      total_amount: 67.48,
      total_items: 3,
      expires_at: expect.any(String),
    });
    const lives = Date.parse(String(answer.at("expires_at"))) - Date.now();
    expect(lives).toBeGreaterThan((shop.config.CART_TTL - 60) * 1000);
    expect(lives).toBeLessThanOrEqual(shop.config.CART_TTL * 1000);
    expect((await guest.get()).body).toEqual(answer.body);
  });

  test("adds to what is there", async () => {
    const product = market.add();
    const guest = buyer();
    await guest.add(product, 2);
    expect((await guest.add(product, 3)).at("items", 0, "quantity")).toBe(5);
  });

  test("shows today's price, whatever it was when the product was added", async () => {
    const product = market.add({ price: 1000 });
    const guest = buyer();
    await guest.add(product, 2);
    market.change(product, { price: 1250 });
    expect((await guest.get()).body).toMatchObject({ items: [{ product_price: 12.5 }], total_amount: 25 });
  });

  test("refuses a price from the client", async () => {
    const answer = await buyer().ask("POST", "/items", {
      product_id: market.add(),
      quantity: 1,
      price: 0.01,
    });
    expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
  });

  test.each([0, -1, 1.5, 10_001, "2", null])("refuses %p as a quantity", async (quantity) => {
    const answer = await buyer().ask("POST", "/items", { product_id: market.add(), quantity });
    expect(answer.status).toBe(422);
  });

  test("answers 404 for a product that is unknown or withdrawn", async () => {
    const withdrawn = market.add({ withdrawn: true });
    for (const id of [withdrawn, 999_999]) {
      const answer = await buyer().add(id);
      expect([answer.status, answer.at("code")]).toEqual([404, "NOT_FOUND"]);
    }
  });

  test("answers 409 if the resulting quantity is more than there is", async () => {
    const product = market.add({ available: 5 });
    const guest = buyer();
    await guest.add(product, 3);
    const answer = await guest.add(product, 3);
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({
      code: "INSUFFICIENT_STOCK",
      details: { items: [{ product_id: product, requested: 6, available: 5 }] },
    });
    expect((await guest.get()).at("total_items")).toBe(3);
  });

  test("stops at 10,000 of one product", async () => {
    const product = market.add({ available: 1_000_000 });
    const guest = buyer();
    await guest.add(product, 10_000);
    const answer = await guest.add(product);
    expect([answer.status, answer.at("details", "violations", 0, "path")]).toEqual([422, "/quantity"]);
  });

  test("stops at 100 different products", async () => {
    const products = Array.from({ length: 101 }, () => market.add());
    const guest = buyer();
    for (const product of products.slice(0, 100)) await guest.add(product);
    const answer = await guest.add(products[100] ?? 0);
    expect([answer.status, answer.at("details", "violations", 0, "path")]).toEqual([422, "/product_id"]);
    // More of what is in it already is fine.
    expect((await guest.add(products[0] ?? 0)).at("total_items")).toBe(101);
  });

  test("loses none of 50 adds at once", async () => {
    const product = market.add();
    const guest = buyer();
    const answers = await Promise.all(Array.from({ length: 50 }, () => guest.add(product)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 201));
    expect((await guest.get()).at("items", 0, "quantity")).toBe(50);
  });

  test("loses none of 200 adds at once on two nodes", async () => {
    const product = market.add({ available: 1000 });
    const { cartToken } = buyer();
    const second = await startShop({
      databaseUrl: shop.databaseUrl,
      replace: { ...market.services, ...people.services },
    });
    try {
      const nodes = [shop, second];
      const options = { headers: { "X-Cart-Token": cartToken } };
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => nodes)
          .flat()
          .map((node) => send(node, "POST", "/api/cart/items", { product_id: product }, options)),
      );
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(200);
      expect((await buyer({ cartToken }).get()).at("items", 0, "quantity")).toBe(200);
    } finally {
      await second.stop();
    }
  });

  test("at once never passes the stock", async () => {
    const product = market.add({ available: 7 });
    const guest = buyer();
    const answers = await Promise.all(Array.from({ length: 20 }, () => guest.add(product)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(7);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(13);
  });
});

describe("a user's cart", () => {
  test("is theirs on every device, and no cart token opens another", async () => {
    const product = market.add();
    const guest = buyer();
    await guest.add(product, 5);
    const { token } = people.add();
    const added = await buyer({ token, cartToken: guest.cartToken }).add(product, 2);
    expect(added.at("total_items")).toBe(2);
    expect(added.headers.get("x-cart-token")).toBeNull();
    expect((await buyer({ token }).get()).at("total_items")).toBe(2);
    expect((await guest.get()).at("total_items")).toBe(5);
  });

  test("is not another user's", async () => {
    await buyer(people.add()).add(market.add());
    expect((await buyer(people.add()).get()).at("items")).toEqual([]);
  });
});
