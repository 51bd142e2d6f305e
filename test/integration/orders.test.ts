import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import {
  type Answer,
  adminToken,
  givenUser,
  type RequestOptions,
  send,
  type TestUser,
} from "../helpers/client.ts";
import { FakeParticipants } from "../helpers/participants.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const fakes = new FakeParticipants();
let shop: Shop;
let user: TestUser;
let stranger: TestUser;
let admin: string;

beforeAll(async () => {
  shop = await startShop({ replace: fakes.services() });
  [user, stranger, admin] = await Promise.all([givenUser(shop), givenUser(shop), adminToken(shop)]);
});
afterAll(async () => await shop?.stop());

const ADDRESS = { street_address: "12 Analytical Row", city: "London", postal_code: "N1 9GU", country: "GB" };
const PAID = {
  shipping_address: ADDRESS,
  items: [{ product_id: 5, quantity: 1 }],
  payment_method: "pm_card_visa",
};
const PENDING = { shipping_address: ADDRESS, items: [{ product_id: 5, quantity: 1 }] };

const place = (body: object, options: RequestOptions = {}) =>
  send(shop, "POST", "/api/orders", body, { token: user.token, ...options });
const keyed = (body: object, key: string, token = user.token) =>
  place(body, { token, headers: { "idempotency-key": key } });
const get = (path: string, token?: string) =>
  send(shop, "GET", path, undefined, token === undefined ? {} : { token });
const setStatus = (id: string, status: string, token = admin) =>
  send(shop, "PUT", `/api/orders/${id}/status`, { status }, { token });
const idOf = (answer: Answer) => String(answer.at("order", "id"));
const givenOrder = async (body: object = PAID) => idOf(await place(body));

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
    expect(second.body).toEqual(first.body);
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

  it("must be visible ASCII", async () => {
    expect((await keyed(PAID, "a b")).status).toBe(400);
    expect((await keyed(PAID, "x".repeat(256))).status).toBe(400);
  });
});

describe("a cart without a key", () => {
  it("makes one order of two clicks", async () => {
    const buyer = await givenUser(shop);
    fakes.cart.set(buyer.id, { cart_id: newId(), items: [{ product_id: 4, quantity: 1 }] });
    const body = { shipping_address: ADDRESS, payment_method: "pm_card_visa" };
    const answers = await Promise.all(Array.from({ length: 10 }, () => place(body, { token: buyer.token })));
    const created = answers.filter((answer) => answer.status === 201);
    expect(new Set(created.map(idOf)).size).toBe(1);
    for (const answer of answers) expect([201, 409, 422]).toContain(answer.status);
    expect((await get("/api/orders", buyer.token)).at("pagination", "total")).toBe(1);
    expect(fakes.cart.has(buyer.id)).toBe(false);
  });

  it("can be ordered again after a declined card", async () => {
    const buyer = await givenUser(shop);
    fakes.cart.set(buyer.id, { cart_id: newId(), items: [{ product_id: 4, quantity: 1 }] });
    const body = { shipping_address: ADDRESS, payment_method: "pm_card_visa" };
    fakes.charges.push("declined");
    expect((await place(body, { token: buyer.token })).status).toBe(402);
    expect(fakes.cart.has(buyer.id)).toBe(true);
    expect((await place(body, { token: buyer.token })).status).toBe(201);
  });
});

describe("reading orders", () => {
  it("lists one's own, newest first, by status and page", async () => {
    const buyer = await givenUser(shop);
    const ids: string[] = [];
    for (const body of [PENDING, PAID, PAID]) ids.unshift(idOf(await place(body, { token: buyer.token })));
    const list = await get("/api/orders?limit=2", buyer.token);
    expect(list.at("pagination")).toEqual({ page: 1, limit: 2, total: 3, pages: 2 });
    expect([list.at("orders", 0, "id"), list.at("orders", 1, "id")]).toEqual(ids.slice(0, 2));
    const pending = await get("/api/orders?status=pending", buyer.token);
    expect(pending.at("orders", 0, "id")).toBe(ids[2]);
    expect(pending.at("pagination", "total")).toBe(1);
    expect((await get("/api/orders?status=lost", buyer.token)).status).toBe(422);
    expect((await get("/api/orders?limit=101", buyer.token)).status).toBe(422);
  });

  it("shows an order and its history to its user and to admins only", async () => {
    const id = await givenOrder();
    for (const path of [`/api/orders/${id}`, `/api/orders/${id}/history`]) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, stranger.token)).status).toBe(404);
      expect((await get(path, user.token)).status).toBe(200);
      expect((await get(path, admin)).status).toBe(200);
    }
    expect((await get(`/api/orders/${newId()}`, user.token)).status).toBe(404);
    expect((await get("/api/orders/nonsense", user.token)).status).toBe(422);
  });

  it("lists everybody's for admins only, by user and time", async () => {
    const buyer = await givenUser(shop);
    const id = idOf(await place(PAID, { token: buyer.token }));
    for (const path of ["/api/orders/all", `/api/orders/user/${buyer.id}`]) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, user.token)).status).toBe(403);
    }
    expect((await get(`/api/orders/user/${buyer.id}`, admin)).at("orders", 0, "id")).toBe(id);
    expect(
      (await get(`/api/orders/all?user_id=${buyer.id}&from=2020-01-01T00:00:00Z`, admin)).at(
        "pagination",
        "total",
      ),
    ).toBe(1);
    expect(
      (await get(`/api/orders/all?user_id=${buyer.id}&to=2020-01-01T00:00:00Z`, admin)).at(
        "pagination",
        "total",
      ),
    ).toBe(0);
    expect((await get("/api/orders/all?from=yesterday", admin)).status).toBe(422);
    expect((await get("/api/orders/all?from=0001-01-01T00:00:00Z", admin)).status).toBe(422);
    // A time zone that ISO 8601 allows and Postgres doesn't know.
    expect((await get("/api/orders/all?from=2546-05-24T14:09:38.9%2B21:08", admin)).status).toBe(200);
  });
});

describe("an order's way", () => {
  it("is confirmed → processing → shipped → delivered, with each change in its history", async () => {
    const id = await givenOrder();
    for (const status of ["processing", "shipped", "delivered"]) {
      const answer = await setStatus(id, status);
      expect([answer.status, answer.at("status")]).toEqual([200, status]);
    }
    const { body } = await get(`/api/orders/${id}/history`, user.token);
    expect(body.history).toMatchObject([
      { from: null, to: "pending", by: "customer" },
      { from: "pending", to: "confirmed", by: "customer" },
      { from: "confirmed", to: "processing", by: "admin" },
      { from: "processing", to: "shipped", by: "admin" },
      { from: "shipped", to: "delivered", by: "admin" },
    ]);
  });

  it("can be confirmed by an admin without a payment, and is committed then", async () => {
    const id = await givenOrder(PENDING);
    const answer = await setStatus(id, "confirmed");
    expect([answer.status, answer.at("status"), answer.at("payment")]).toEqual([200, "confirmed", null]);
    expect(fakes.reservations.get(id)).toBe("committed");
  });

  it("takes no other step, and says which it takes", async () => {
    const id = await givenOrder();
    for (const status of ["pending", "confirmed", "shipped", "delivered", "refunded"]) {
      const answer = await setStatus(id, status);
      expect([answer.status, answer.at("code")]).toEqual([409, "INVALID_TRANSITION"]);
      expect(answer.at("details", "allowed")).toEqual(["processing", "cancelled"]);
    }
    expect((await setStatus(id, "lost")).status).toBe(422);
  });

  it("is moved once by ten admins at once", async () => {
    const id = await givenOrder();
    const answers = await Promise.all(Array.from({ length: 10 }, () => setStatus(id, "processing")));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 409)).toHaveLength(9);
  });

  it("is set by admins only", async () => {
    const id = await givenOrder();
    expect((await setStatus(id, "processing", user.token)).status).toBe(403);
    expect((await send(shop, "PUT", `/api/orders/${id}/status`, { status: "processing" })).status).toBe(401);
    expect((await setStatus(newId(), "processing")).status).toBe(404);
  });

  it("ends as refunded when an admin refunds what has shipped", async () => {
    const id = await givenOrder();
    await setStatus(id, "processing");
    await setStatus(id, "shipped");
    const answer = await setStatus(id, "refunded");
    expect(answer.body).toMatchObject({ status: "refunded", refunded_amount: 5 });
    expect(fakes.captured.get(id)).toBe(0);
    expect(fakes.reservations.get(id)).toBe("committed");
  });
});

describe("POST /orders/:id/cancel", () => {
  const cancel = (id: string, token?: string, body: object = {}) =>
    send(shop, "POST", `/api/orders/${id}/cancel`, body, token === undefined ? {} : { token });

  it("refunds what was captured and gives the stock back", async () => {
    const id = await givenOrder();
    const answer = await cancel(id, user.token, { reason: "changed my mind" });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      status: "cancelled",
      cancel_reason: "changed my mind",
      refunded_amount: 5,
    });
    expect(fakes.captured.get(id)).toBe(0);
    expect(fakes.reservations.get(id)).toBe("returned");
  });

  it("releases an order that waits for its payment", async () => {
    const id = await givenOrder(PENDING);
    expect((await cancel(id, user.token)).at("status")).toBe("cancelled");
    expect(fakes.reservations.get(id)).toBe("released");
  });

  it("is refused once it has shipped, and a second time", async () => {
    const shipped = await givenOrder();
    await setStatus(shipped, "processing");
    await setStatus(shipped, "shipped");
    expect((await cancel(shipped, user.token)).status).toBe(409);
    const cancelled = await givenOrder();
    await cancel(cancelled, user.token);
    expect((await cancel(cancelled, user.token)).at("code")).toBe("INVALID_TRANSITION");
  });

  it("is for its user and admins only", async () => {
    const id = await givenOrder();
    expect((await cancel(id)).status).toBe(401);
    expect((await cancel(id, stranger.token)).status).toBe(404);
    expect((await cancel(id, user.token, { reason: "x".repeat(501) })).status).toBe(422);
    expect((await cancel(id, admin)).at("history", 2, "by")).toBe("admin");
  });

  it("against a payment of the same moment, ends with nothing captured or with the order paid, never both", async () => {
    for (let round = 0; round < 10; round++) {
      const id = await givenOrder(PENDING);
      const paying = shop
        .call("orders.pay", { order_id: id, user_id: user.id, payment_method: "pm_card_visa" })
        .then(
          () => true,
          () => false,
        );
      const [paid, cancelled] = await Promise.all([paying, cancel(id, user.token)]);
      const { body } = await get(`/api/orders/${id}`, user.token);
      if (cancelled.status === 200)
        expect([body.status, fakes.captured.get(id) ?? 0]).toEqual(["cancelled", 0]);
      else expect([paid, body.status, fakes.captured.get(id)]).toEqual([true, "confirmed", 500]);
    }
  });
});

describe("a refund of the payment", () => {
  const refunded = (order_id: string, refunded_total: number) =>
    shop.call("orders.onPaymentRefunded", {
      event_id: newId(),
      event: "payment.refunded",
      occurred_at: new Date().toISOString(),
      data: {
        refund_id: newId(),
        payment_id: newId(),
        order_id,
        user_id: user.id,
        amount: refunded_total,
        refunded_total,
        captured: 500,
        currency: "EUR",
        reason: "damaged",
      },
    });

  it("in part is noted, and late or repeated news change nothing", async () => {
    const id = await givenOrder();
    await refunded(id, 200);
    await refunded(id, 100);
    expect((await get(`/api/orders/${id}`, user.token)).body).toMatchObject({
      status: "confirmed",
      refunded_amount: 2,
      payment: { status: "partially_refunded" },
    });
  });

  it("in whole makes a delivered order refunded", async () => {
    const id = await givenOrder();
    for (const status of ["processing", "shipped", "delivered"]) await setStatus(id, status);
    await refunded(id, 500);
    await refunded(id, 500);
    const { body } = await get(`/api/orders/${id}`, user.token);
    expect(body).toMatchObject({ status: "refunded", payment: { status: "refunded" } });
    expect(body.history).toHaveLength(6);
  });

  it("in whole cancels what has not shipped, and gives the stock back", async () => {
    const id = await givenOrder();
    await refunded(id, 500);
    expect((await get(`/api/orders/${id}`, user.token)).at("status")).toBe("cancelled");
    expect(fakes.reservations.get(id)).toBe("returned");
  });
});
