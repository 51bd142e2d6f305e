import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { givenUser, send, type TestUser } from "../helpers/client.ts";
import { runSql } from "../helpers/inventory.ts";
import { ADDRESS, idOf, ordersOf, PAID } from "../helpers/orders.ts";
import { FakeParticipants } from "../helpers/participants.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const fakes = new FakeParticipants();
let shop: Shop;
let user: TestUser;
let stranger: TestUser;

beforeAll(async () => {
  shop = await startShop({ replace: fakes.services() });
  [user, stranger] = await Promise.all([givenUser(shop), givenUser(shop)]);
});
afterAll(async () => await shop?.stop());

const { place, get } = ordersOf(() => ({ shop, user }));
const keyed = (body: object, key: string, token = user.token) =>
  place(body, { token, headers: { "idempotency-key": key } });

describe("POST /orders", () => {
  it("answers 201 with the order, priced by the shop", async () => {
    const answer = await place({
      ...PAID,
      items: [
        { product_id: 5, quantity: 2 },
        { product_id: 7, quantity: 1 },
      ],
    });
    expect(answer.status).toBe(201);
    expect(answer.at("order")).toMatchObject({
      user_id: user.id,
      status: "confirmed",
      items: [
        { product_id: 5, sku: "SKU-5", name: "Product 5", price: 5, quantity: 2, subtotal: 10 },
        { product_id: 7, price: 7, quantity: 1, subtotal: 7 },
      ],
      subtotal: 17,
      shipping: 0,
      tax: 0,
      total_amount: 17,
      currency: "EUR",
      shipping_address: ADDRESS,
    });
    expect(answer.at("order", "number")).toMatch(/^MC-\d{6,}$/);
  });

  it("takes the address as a text too", async () => {
    expect(
      (await place({ ...PAID, shipping_address: "12 Analytical Row" })).at("order", "shipping_address"),
    ).toBe("12 Analytical Row");
  });

  it("takes an address of the address book that has no state as it was read", async () => {
    const address = { ...ADDRESS, state: null };
    expect((await place({ ...PAID, shipping_address: address })).at("order", "shipping_address")).toEqual(
      address,
    );
  });

  it.each([
    ["a blank one", "  ", "", "must not be blank"],
    ["too long a text", "x".repeat(501), "", "must not have more than 500 characters"],
    ["half of one", { ...ADDRESS, city: undefined }, "/city", "is required"],
    ["a number in it", { ...ADDRESS, city: 5 }, "/city", "must be string"],
    ["a misspelt field", { ...ADDRESS, zip: "1" }, "/zip", "is not known here"],
    ["a list", [], "", "must be object or string"],
  ])("tells what is wrong with an address, and nothing else: %s", async (_, given, path, message) => {
    const answer = await place({ ...PAID, shipping_address: given });
    expect(answer.at("details", "violations")).toEqual([{ path: `/shipping_address${path}`, message }]);
  });

  it("sums a product that is named twice", async () => {
    const answer = await place({
      ...PAID,
      items: [
        { product_id: 5, quantity: 2 },
        { product_id: 5, quantity: 3 },
      ],
    });
    expect(answer.at("order", "items", 0, "quantity")).toBe(5);
  });

  const refusals: [string, object, number, string][] = [
    ["no address", { items: PAID.items }, 422, "VALIDATION_FAILED"],
    ["a blank address", { ...PAID, shipping_address: "  " }, 422, "VALIDATION_FAILED"],
    ["half an address", { ...PAID, shipping_address: { city: "London" } }, 422, "VALIDATION_FAILED"],
    ["an empty list of items", { ...PAID, items: [] }, 422, "VALIDATION_FAILED"],
    ["a quantity of 0", { ...PAID, items: [{ product_id: 5, quantity: 0 }] }, 422, "VALIDATION_FAILED"],
    ["a negative quantity", { ...PAID, items: [{ product_id: 5, quantity: -1 }] }, 422, "VALIDATION_FAILED"],
    ["a fraction", { ...PAID, items: [{ product_id: 5, quantity: 1.5 }] }, 422, "VALIDATION_FAILED"],
    [
      "more of one product than an order holds, in several lines",
      {
        ...PAID,
        items: [
          { product_id: 5, quantity: 9000 },
          { product_id: 5, quantity: 1001 },
        ],
      },
      422,
      "VALIDATION_FAILED",
    ],
    [
      "a price from the client",
      { ...PAID, items: [{ product_id: 5, quantity: 1, price: 0.01 }] },
      422,
      "VALIDATION_FAILED",
    ],
    ["an unknown field", { ...PAID, discount: 100 }, 422, "VALIDATION_FAILED"],
    [
      "a product id beyond an integer",
      { ...PAID, items: [{ product_id: 2 ** 31, quantity: 1 }] },
      422,
      "VALIDATION_FAILED",
    ],
    [
      "card data instead of a token",
      { ...PAID, payment_method: "4242 4242 4242 4242" },
      422,
      "VALIDATION_FAILED",
    ],
    [
      "a product that isn't sold",
      { ...PAID, items: [{ product_id: 1001, quantity: 1 }] },
      409,
      "PRODUCT_UNAVAILABLE",
    ],
    ["an empty cart", { shipping_address: ADDRESS }, 422, "CART_EMPTY"],
  ];
  for (const [what, body, status, code] of refusals) {
    it(`refuses ${what} with ${status} ${code}, and writes nothing`, async () => {
      const fresh = await givenUser(shop);
      const answer = await place(body, { token: fresh.token });
      expect([answer.status, answer.at("code")]).toEqual([status, code]);
      expect((await get("/api/orders", fresh.token)).at("pagination", "total")).toBe(0);
    });
  }

  it("names the unknown field in the answer's sentence", async () => {
    expect((await place({ ...PAID, discount: 100 })).at("error")).toBe("/discount: is not known here.");
  });

  it("refuses a guest", async () => {
    expect((await send(shop, "POST", "/api/orders", PAID)).status).toBe(401);
  });
});

describe("an idempotency key", () => {
  it("gives the first answer again, and places one order", async () => {
    const key = newId();
    const first = await keyed(PAID, key);
    const second = await keyed(PAID, key);
    expect(second.status).toBe(201);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    expect(JSON.stringify(second.body)).toBe(JSON.stringify(first.body));
  });

  it("knows the same request whatever the order of its fields", async () => {
    const key = newId();
    const first = await keyed(PAID, key);
    const { shipping_address, ...rest } = PAID;
    expect(idOf(await keyed({ ...rest, shipping_address }, key))).toBe(idOf(first));
  });

  it("gives a refusal again too", async () => {
    const key = newId();
    fakes.charges.push("declined");
    const first = await keyed(PAID, key);
    const second = await keyed(PAID, key);
    expect([first.status, second.status]).toEqual([402, 402]);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    expect(second.at("code")).toBe("PAYMENT_DECLINED");
  });

  it("is free again after a failure that may pass", async () => {
    const key = newId();
    fakes.charges.push("unavailable");
    expect((await keyed(PAID, key)).status).toBe(503);
    const again = await keyed(PAID, key);
    expect(again.status).toBe(201);
    expect(again.headers.get("idempotent-replayed")).toBeNull();
  });

  it("is refused with another body", async () => {
    const key = newId();
    await keyed(PAID, key);
    const other = await keyed({ ...PAID, items: [{ product_id: 6, quantity: 1 }] }, key);
    expect([other.status, other.at("code")]).toEqual([422, "IDEMPOTENCY_MISMATCH"]);
  });

  it("never meets another user's", async () => {
    const key = newId();
    const mine = await keyed(PAID, key);
    const theirs = await keyed(PAID, key, stranger.token);
    expect(theirs.status).toBe(201);
    expect(idOf(theirs)).not.toBe(idOf(mine));
    // Nor when both send it again.
    expect(idOf(await keyed(PAID, key))).toBe(idOf(mine));
    expect(idOf(await keyed(PAID, key, stranger.token))).toBe(idOf(theirs));
  });

  it("makes one order and one charge of 50 equal submits at once", async () => {
    const key = newId();
    const buyer = await givenUser(shop);
    const answers = await Promise.all(Array.from({ length: 50 }, () => keyed(PAID, key, buyer.token)));
    const created = answers.filter((answer) => answer.status === 201);
    expect(created.length).toBeGreaterThanOrEqual(1);
    expect(new Set(created.map(idOf)).size).toBe(1);
    for (const answer of answers) {
      if (answer.status !== 201)
        expect([answer.status, answer.at("code")]).toEqual([409, "IDEMPOTENCY_IN_PROGRESS"]);
    }
    const [first] = created;
    expect(first && fakes.captured.get(idOf(first))).toBe(500);
    expect((await get("/api/orders", buyer.token)).at("pagination", "total")).toBe(1);
  });

  it("is another request's after a day, even before it is swept", async () => {
    const key = newId();
    const first = idOf(await keyed(PAID, key));
    await runSql(
      shop,
      "UPDATE orders.checkout_keys SET created_at = created_at - interval '25 hours' WHERE key = $1",
      [key],
    );
    const other = { ...PAID, shipping_address: "elsewhere" };
    const second = await keyed(other, key);
    expect([second.status, idOf(second)]).toEqual([201, expect.not.stringMatching(first)]);
    const again = await keyed(other, key);
    expect([idOf(again), again.headers.get("idempotent-replayed")]).toEqual([idOf(second), "true"]);
  });

  it("must be visible ASCII", async () => {
    expect((await keyed(PAID, "a b")).status).toBe(400);
    expect((await keyed(PAID, "x".repeat(256))).status).toBe(400);
  });
});

describe("a cart without a key", () => {
  /** Of ids `<filling>.<revision>`. */
  const givenCart = ({ id }: TestUser, cart_id: string, oldest_revision = 1) =>
    fakes.cart.set(id, { cart_id, oldest_revision, items: [{ product_id: 4, quantity: 1 }] });
  const body = { shipping_address: ADDRESS, payment_method: "pm_card_visa" };
  const total = async (buyer: TestUser) => (await get("/api/orders", buyer.token)).at("pagination", "total");

  it("makes one order, though it changed while that was under way or before it was emptied", async () => {
    const buyer = await givenUser(shop);
    const filling = newId();
    givenCart(buyer, `${filling}.2`);
    expect((await place(body, { token: buyer.token })).status).toBe(201);
    for (const cart_id of [`${filling}.3`, `${filling}.1`]) {
      givenCart(buyer, cart_id);
      const again = await place(body, { token: buyer.token, headers: { "idempotency-key": newId() } });
      expect([again.status, again.at("code")]).toEqual([409, "ORDER_IN_PROGRESS"]);
    }
    expect(await total(buyer)).toBe(1);
    // What was put in since is another order's.
    givenCart(buyer, `${filling}.4`, 3);
    expect((await place(body, { token: buyer.token })).status).toBe(201);
  });

  it("makes one order of two revisions at once", async () => {
    const buyer = await givenUser(shop);
    const filling = newId();
    let revision = 0;
    const changing = setInterval(() => givenCart(buyer, `${filling}.${(revision++ % 2) + 1}`), 1);
    const clicks = Array.from({ length: 12 }, () => place(body, { token: buyer.token }));
    const answers = await Promise.all(clicks).finally(() => clearInterval(changing));
    for (const { status } of answers) expect([201, 409, 422]).toContain(status);
    expect(await total(buyer)).toBe(1);
  });

  it("makes one order of two clicks", async () => {
    const buyer = await givenUser(shop);
    givenCart(buyer, newId());
    const answers = await Promise.all(Array.from({ length: 10 }, () => place(body, { token: buyer.token })));
    const created = answers.filter((answer) => answer.status === 201);
    expect(new Set(created.map(idOf)).size).toBe(1);
    for (const answer of answers) expect([201, 409, 422]).toContain(answer.status);
    expect((await get("/api/orders", buyer.token)).at("pagination", "total")).toBe(1);
    expect(fakes.cart.has(buyer.id)).toBe(false);
  });

  it("can be ordered again after a declined card", async () => {
    const buyer = await givenUser(shop);
    givenCart(buyer, newId());
    fakes.charges.push("declined");
    expect((await place(body, { token: buyer.token })).status).toBe(402);
    expect(fakes.cart.has(buyer.id)).toBe(true);
    expect((await place(body, { token: buyer.token })).status).toBe(201);
  });
});
