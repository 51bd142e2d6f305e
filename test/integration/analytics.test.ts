import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { newCartToken } from "../helpers/buyer.ts";
import { eventually, send } from "../helpers/client.ts";
import { orderEvent, refundEvent } from "../helpers/envelopes.ts";
import { FakeMarket, FakePeople, type FakePerson } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const market = new FakeMarket();
const people = new FakePeople();
let shop: Shop;
let admin: FakePerson;

beforeAll(async () => {
  shop = await startShop({ replace: { ...market.services, ...people.services } });
  admin = people.add("admin");
});
afterAll(() => shop.stop());

const record = (body: object, options: { token?: string; headers?: Record<string, string> } = {}) =>
  send(shop, "POST", "/api/analytics/events", body, options);
const summary = (query = "", token: string | undefined = admin.token) =>
  send(shop, "GET", `/api/analytics/summary${query}`, undefined, { token });
/** What people did today, so far: the tests of it share the shop, so they look at the difference. */
async function funnel() {
  const answer = await summary();
  const figure = (name: string) => Number(answer.at("conversion", name));
  return { visits: figure("visits"), carts: figure("carts") };
}
/** What `act` adds to the funnel. */
async function adds(act: () => Promise<unknown>) {
  const before = await funnel();
  await act();
  const after = await funnel();
  return { visits: after.visits - before.visits, carts: after.carts - before.carts };
}

/** A day of the past for each test of the figures, so that none sees another's. */
let days = 0;
const newDay = () => new Date(Date.UTC(2020, 0, 1 + 2 * days++)).toISOString().slice(0, 10);

describe("recording", () => {
  test("takes one event, or a batch", async () => {
    const one = await record({ type: "product_view", properties: { product_id: 1 } });
    expect([one.status, one.body]).toEqual([202, { accepted: 1 }]);
    expect((await record({ type: "search" })).body).toEqual({ accepted: 1 });
    const events = Array.from({ length: 500 }, () => ({ type: "search", properties: { "a.b": 1, $c: 2 } }));
    expect((await record({ events })).body).toEqual({ accepted: 500 });
  });

  test.each([
    ["neither an event nor a batch", {}],
    ["properties without a type", { properties: { page: "/" } }],
    ["an event and a batch", { type: "visit", events: [{ type: "visit" }] }],
    ["an event's properties beside a batch", { properties: {}, events: [{ type: "visit" }] }],
    ["an empty batch", { events: [] }],
    ["501 events", { events: Array.from({ length: 501 }, () => ({ type: "visit" })) }],
    ["a type that is no name", { type: "Drop Table" }],
    ["an unknown property", { type: "visit", ip: "10.0.0.1" }],
    ["more than 8 KB of properties", { type: "visit", properties: { page: "x".repeat(8192) } }],
    ["8 KB in other characters", { type: "visit", properties: { page: "é".repeat(4095) } }],
  ])("refuses %s", async (_, body) => {
    const answer = await record(body);
    expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
  });

  test("refuses a batch as a whole, and says which event is wrong", async () => {
    const visit = { type: "visit", properties: { visitor_id: newId() } };
    const wrong = { type: "visit", properties: { page: "x".repeat(9000) } };
    let path: unknown;
    const added = await adds(async () => {
      path = (await record({ events: [visit, wrong] })).at("details", "violations", 0, "path");
    });
    expect(path).toBe("/events/1/properties");
    expect(added.visits).toBe(0);
  });

  test("counts a visitor once: by account, by cart token, or by the id the client made up", async () => {
    const user = people.add();
    const guest = { headers: { "X-Cart-Token": newCartToken() } };
    const mine = { visitor_id: newId() };
    const added = await adds(async () => {
      for (const type of ["visit", "page_view", "product_view"]) {
        await record({ type }, { token: user.token });
        await record({ type, properties: mine });
        await record({ type, properties: { visitor_id: newId() } }, guest);
      }
    });
    expect(added).toEqual({ visits: 3, carts: 0 });
  });

  test("counts add_to_cart as a cart, other types as nothing", async () => {
    const properties = { visitor_id: newId() };
    const added = await adds(() =>
      record({ events: ["add_to_cart", "add_to_cart", "search"].map((type) => ({ type, properties })) }),
    );
    expect(added).toEqual({ visits: 0, carts: 1 });
  });

  test("hears of carts from the shop itself", async () => {
    const before = await funnel();
    const headers = { "X-Cart-Token": newCartToken() };
    for (const product_id of [market.add(), market.add()]) {
      await send(shop, "POST", "/api/cart/items", { product_id }, { headers });
    }
    // The same guest, who told of it as well.
    await record({ type: "add_to_cart" }, { headers });
    await eventually(async () => (await funnel()).carts === before.carts + 1);
    await record({ type: "visit" }, { headers });
    expect(await funnel()).toEqual({ visits: before.visits + 1, carts: before.carts + 1 });
  });

  test("takes no plain event that is off its contract", async () => {
    const added = await adds(() =>
      shop.broker.emit("analytics.behaviour", { type: "add_to_cart", visitor: 7 }),
    );
    expect(added.carts).toBe(0);
  });
});

describe("the summary", () => {
  test("of a period in which nothing happened", async () => {
    const day = newDay();
    const answer = await summary(`?from=${day}&to=${day}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      from: `${day}T00:00:00.000Z`,
      to: `${day}T23:59:59.999Z`,
      currency: "EUR",
      revenue: 0,
      gross_revenue: 0,
      refunded: 0,
      orders: 0,
      cancelled_orders: 0,
      average_order: 0,
      conversion: { visits: 0, carts: 0, orders: 0, paid: 0, rate: 0 },
      top_products: [],
      by_day: [{ day, orders: 0, revenue: 0 }],
    });
  });

  test("of orders, refunds and cancellations, each told of twice", async () => {
    const day = newDay();
    const told = (time: string) => ({ at: `${day}T${time}:00.000Z` });
    const [first, second, unpaid] = [newId(), newId(), newId()];
    const coffee = { product_id: 1, name: "Coffee maker", unit_price: 2999 };
    const mug = { product_id: 2, name: "Mug", unit_price: 750 };
    const data = {
      first: {
        order_id: first,
        total: 6748,
        items: [
          { ...coffee, quantity: 2 },
          { ...mug, quantity: 1 },
        ],
      },
      second: { order_id: second, total: 7500, items: [{ ...mug, quantity: 10 }], synthetic: true },
    };
    const orders = [
      orderEvent("order.placed", data.first, told("09:00")),
      orderEvent("order.confirmed", data.first, told("09:01")),
      orderEvent("order.confirmed", data.second, told("10:00")),
      orderEvent("order.placed", { order_id: unpaid }, told("11:00")),
      orderEvent("order.cancelled", { order_id: unpaid }, told("12:00")),
      // It had been paid: what it takes away is the refund beside it, and nothing twice.
      orderEvent("order.cancelled", data.second, told("13:00")),
      orderEvent("order.refunded", data.second, told("13:01")),
      orderEvent("order.confirmed", { total: 999_999, currency: "USD" }, told("14:00")),
    ];
    const refund = refundEvent({ order_id: second, amount: 7500 }, told("13:00"));
    for (const _ of [1, 2]) {
      for (const envelope of orders) await shop.call("analytics.onOrder", envelope);
      await shop.call("analytics.onPaymentRefunded", refund);
    }
    expect((await summary(`?from=${day}&to=${day}`)).body).toMatchObject({
      revenue: 67.48,
      gross_revenue: 142.48,
      refunded: 75,
      orders: 2,
      cancelled_orders: 2,
      average_order: 71.24,
      conversion: { visits: 0, orders: 3, paid: 2, rate: 0 },
      top_products: [
        { product_id: 2, name: "Mug", quantity: 11, revenue: 82.5 },
        { product_id: 1, name: "Coffee maker", quantity: 2, revenue: 59.98 },
      ],
      by_day: [{ day, orders: 2, revenue: 67.48 }],
    });
  });

  test("takes a refund off the day it was made on", async () => {
    const [from, to] = [newDay(), newDay()];
    const order_id = newId();
    const confirmed = orderEvent(
      "order.confirmed",
      { order_id, total: 5000 },
      { at: `${from}T23:59:59.999Z` },
    );
    await shop.call("analytics.onOrder", confirmed);
    const refund = refundEvent({ order_id, amount: 2000 }, { at: `${to}T01:30:00+01:00` });
    await shop.call("analytics.onPaymentRefunded", refund);
    const both = await summary(`?from=${from}&to=${to}`);
    expect(both.at("revenue")).toBe(30);
    expect(both.at("by_day")).toEqual([
      { day: from, orders: 1, revenue: 50 },
      { day: expect.any(String), orders: 0, revenue: 0 },
      { day: to, orders: 0, revenue: -20 },
    ]);
    expect((await summary(`?from=${to}&to=${to}`)).at("revenue")).toBe(-20);
    expect((await summary(`?from=${from}&to=${from}T23:00:00Z`)).at("revenue")).toBe(0);
  });

  test("names the ten products that brought most", async () => {
    const day = newDay();
    const items = Array.from({ length: 12 }, (_, index) => ({
      product_id: index + 1,
      name: `Product ${index + 1}`,
      quantity: 1,
      unit_price: 100 * (index + 1),
    }));
    await shop.call(
      "analytics.onOrder",
      orderEvent("order.confirmed", { items }, { at: `${day}T10:00:00.000Z` }),
    );
    const top = (await summary(`?from=${day}&to=${day}`)).at("top_products");
    expect(top).toHaveLength(10);
    expect(top).toMatchObject([
      { product_id: 12, revenue: 12 },
      { product_id: 11 },
      ...Array(7).fill({}),
      { product_id: 3 },
    ]);
  });

  test("tells of conversion from visit to paid", async () => {
    const visitors = Array.from({ length: 4 }, () => people.add());
    const before = (await summary()).at("conversion");
    for (const { token } of visitors) await record({ type: "visit" }, { token });
    await shop.call("analytics.onOrder", orderEvent("order.confirmed"));
    const answer = await summary();
    const [visits, paid] = [
      Number(answer.at("conversion", "visits")),
      Number(answer.at("conversion", "paid")),
    ];
    expect(answer.at("conversion")).not.toEqual(before);
    expect(paid).toBe(1);
    expect(visits).toBeGreaterThanOrEqual(4);
    expect(answer.at("conversion", "rate")).toBeCloseTo(paid / visits, 4);
  });

  test("shows thirty days by default, each of them", async () => {
    const answer = await summary();
    expect(answer.at("by_day")).toHaveLength(30);
    expect(answer.at("by_day", 29, "day")).toBe(String(answer.at("to")).slice(0, 10));
  });

  test.each([
    "?from=2026-11-02&to=2026-11-01",
    "?from=2020-01-01&to=2026-01-01",
    "?from=2026-02-30",
    "?from=soon",
  ])("refuses %s", async (query) => {
    const answer = await summary(query);
    expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
  });

  test("is for admins", async () => {
    expect((await summary("", people.add().token)).status).toBe(403);
    expect((await send(shop, "GET", "/api/analytics/summary")).status).toBe(401);
  });
});
