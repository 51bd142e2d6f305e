import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { buyerOf, newCartToken } from "../helpers/buyer.ts";
import { FakeMarket, FakePeople } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const market = new FakeMarket();
const people = new FakePeople();
let shop: Shop;

beforeAll(async () => {
  shop = await startShop({ replace: { ...market.services, ...people.services } });
});
afterAll(() => shop.stop());

const buyer = () => buyerOf(shop, { cartToken: newCartToken() });

describe("setting and removing", () => {
  test("PUT sets a quantity, of a new product too", async () => {
    const product = market.add();
    const guest = buyer();
    expect((await guest.set(product, 4)).body).toMatchObject({ items: [{ quantity: 4 }] });
    const answer = await guest.set(product, 2);
    expect([answer.status, answer.at("items", 0, "quantity")]).toEqual([200, 2]);
  });

  test("PUT 0 removes, again and again", async () => {
    const product = market.add();
    const guest = buyer();
    await guest.add(product);
    for (const _ of [1, 2]) {
      const answer = await guest.set(product, 0);
      expect([answer.status, answer.at("items")]).toEqual([200, []]);
    }
  });

  test("PUT refuses what the shop does not have", async () => {
    const product = market.add({ available: 5 });
    expect((await buyer().set(product, 6)).at("code")).toBe("INSUFFICIENT_STOCK");
    expect((await buyer().set(999_999, 1)).status).toBe(404);
    expect((await buyer().set(product, -1)).status).toBe(422);
  });

  test("DELETE of a product removes it; 404 if it is not there", async () => {
    const [one, other] = [market.add(), market.add()];
    const guest = buyer();
    await guest.add(one, 2);
    await guest.add(other);
    const answer = await guest.remove(one);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ items: [{ product_id: other }], total_items: 1 });
    expect((await guest.remove(one)).status).toBe(404);
  });

  test("DELETE of the cart empties it", async () => {
    const product = market.add();
    const guest = buyer();
    await guest.add(product, 2);
    for (const _ of [1, 2]) {
      const answer = await guest.clear();
      expect([answer.status, answer.at("items"), answer.at("expires_at")]).toEqual([200, [], null]);
    }
  });
});

describe("a withdrawn product", () => {
  test("stays to be seen, counts in no total, and can be removed", async () => {
    const [gone, here] = [market.add({ name: "Old mug", price: 500 }), market.add({ price: 1000 })];
    const guest = buyer();
    await guest.add(gone, 2);
    await guest.add(here);
    market.change(gone, { withdrawn: true });
    expect((await guest.get()).body).toMatchObject({
      items: [
        {
          product_id: gone,
          product_name: "Old mug",
          product_price: 5,
          quantity: 2,
          subtotal: 10,
          stock_available: 0,
          unavailable: true,
        },
        { product_id: here },
      ],
      total_amount: 10,
      total_items: 1,
    });
    expect((await guest.set(gone, 1)).status).toBe(404);
    expect((await guest.remove(gone)).status).toBe(200);
  });
});

describe("validating", () => {
  test("finds a good cart good", async () => {
    const guest = buyer();
    await guest.add(market.add());
    const answer = await guest.validate();
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ is_valid: true, validation_issues: [] });
    expect(answer.at("cart")).toEqual((await guest.get()).body);
  });

  test("tells of an empty cart", async () => {
    const answer = await buyer().validate();
    expect(answer.at("is_valid")).toBe(false);
    expect(answer.at("validation_issues", 0)).toMatchObject({ product_id: null, code: "CART_EMPTY" });
  });

  test("tells of stock, prices and withdrawals, and of a new price once", async () => {
    const [scarce, dearer, gone] = [
      market.add({ available: 5 }),
      market.add({ name: "Mug", price: 1000 }),
      market.add(),
    ];
    const guest = buyer();
    for (const product of [scarce, dearer, gone]) await guest.add(product, 2);
    market.change(scarce, { available: 1 });
    market.change(dearer, { price: 1100 });
    market.change(gone, { withdrawn: true });

    const answer = await guest.validate();
    expect(answer.at("is_valid")).toBe(false);
    expect(answer.at("validation_issues")).toEqual([
      { product_id: scarce, code: "INSUFFICIENT_STOCK", issue: expect.stringContaining("Only 1") },
      { product_id: dearer, code: "PRICE_CHANGED", issue: "Mug costs 11.00 now, not 10.00." },
      { product_id: gone, code: "PRODUCT_UNAVAILABLE", issue: expect.stringContaining("no longer sold") },
    ]);
    expect(answer.at("cart", "expires_at")).toBe((await guest.get()).at("expires_at") ?? "none");

    await guest.remove(gone);
    await guest.set(scarce, 1);
    expect((await guest.validate()).body).toMatchObject({ is_valid: true, validation_issues: [] });
  });
});
