import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Value } from "typebox/value";
import { orderFlow } from "../../cli/actions/flow.ts";
import { listOrders, showOrder } from "../../cli/actions/order.ts";
import { cancelOrder, moveOrder, payOrder, refundOrder } from "../../cli/actions/order-change.ts";
import { placeOrder } from "../../cli/actions/order-place.ts";
import { watchOrder } from "../../cli/actions/order-watch.ts";
import { verify } from "../../cli/actions/verify.ts";
import { Order } from "../../services/orders/orders.contract.ts";
import { adminToken, eventually, givenProduct, send } from "../helpers/client.ts";
import { ADMIN } from "../helpers/env.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { act, adminOf } from "./support.ts";

let shop: Shop;
let token: string;
let env: Record<string, string>;
let product: string;

beforeAll(async () => {
  shop = await startShop();
  token = await adminToken(shop);
  env = adminOf(shop);
  product = String(await givenProduct(shop, token, { price: 10, stock_quantity: 100_000, sku: "LAMP-1" }));
});
afterAll(() => shop?.stop());

const address = "12 Analytical Row, London";

/** An order of one lamp; without `pay` it waits. */
async function placed(pay?: string): Promise<Order> {
  const run = await act((io) => placeOrder({ item: [product], address, pay, json: true }, io), { env });
  expect(run).toMatchObject({ code: 0, stderr: "" });
  return Value.Parse(Order, run.json());
}

const statusOf = async ({ id }: Order) =>
  (await send(shop, "GET", `/api/orders/${id}`, undefined, { token })).at("status");

describe("molecart order place", () => {
  it("places an order by flags, by id and by SKU", async () => {
    const item = [`${product}:2`, "lamp-1"];
    const run = await act(
      (io) => placeOrder({ item, address, pay: "pm_card_visa", synthetic: true, json: true }, io),
      { env },
    );
    expect(run.json()).toMatchObject({
      status: "confirmed",
      total_amount: 30,
      shipping_address: address,
      synthetic: true,
      items: [{ quantity: 3 }],
    });
    const shown = await act((io) => showOrder(Object(run.json()).number, {}, io), { env });
    expect(shown.stdout).toMatch(/^MC-\d+ {2}confirmed {2}30.00 EUR {2}synthetic\n/);
    expect(shown.stdout).toMatch(/pending → confirmed {2}by customer\n$/);
  });

  it("makes one order for one key", async () => {
    const place = () =>
      act((io) => placeOrder({ item: [product], address, key: "my-key-1", json: true }, io), { env });
    const [first, second] = [await place(), await place()];
    expect(Object(second.json()).id).toBe(Object(first.json()).id);
  });

  it("makes none with --dry-run, and says what it would", async () => {
    const count = async () =>
      (await send(shop, "GET", "/api/orders/all", undefined, { token })).at("pagination", "total");
    const before = await count();
    const run = await act((io) => placeOrder({ item: [`${product}:2`], address, dryRun: true }, io), { env });
    expect(run.stdout).toContain("subtotal 20.00 EUR, to 12 Analytical Row, London, to be paid later");
    expect(await count()).toBe(before);
  });

  it("says so when the card is declined", async () => {
    const pay = "pm_card_chargeDeclined";
    const run = await act((io) => placeOrder({ item: [product], address, pay }, io), { env });
    expect(run).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toContain("The card was declined. (402 PAYMENT_DECLINED");
  });

  it("asks for what is missing where nobody can be asked", async () => {
    const runs = await Promise.all([
      act((io) => placeOrder({}, io), { env }),
      act((io) => placeOrder({ item: [product] }, io), { env }),
      act((io) => placeOrder({ item: ["4 2"], address }, io), { env }),
      act((io) => placeOrder({ item: [product], address: " " }, io), { env }),
    ]);
    expect(runs.map(({ code, stdout }) => [code, stdout])).toEqual(runs.map(() => [2, ""]));
  });
});

describe("molecart order pay, ship, deliver, refund, cancel", () => {
  it("leads an order through its life", async () => {
    const { number } = await placed();
    const json = { json: true };
    const steps = [
      await act((io) => payOrder(number, { method: "pm_card_visa", ...json }, io), { env }),
      await act((io) => moveOrder(number, "shipped", json, io), { env }),
      await act((io) => moveOrder(number, "delivered", json, io), { env }),
      await act((io) => refundOrder(number, { amount: 4, reason: "scratched", yes: true, ...json }, io), {
        env,
      }),
    ];
    expect(steps.map((step) => Object(step.json()).status)).toEqual([
      "confirmed",
      "shipped",
      "delivered",
      "delivered",
    ]);
    const rest = await act((io) => refundOrder(number, { reason: "all of it", yes: true, ...json }, io), {
      env,
    });
    expect(rest.code).toBe(0);
    const refunded = await eventually(async () => {
      const shown = await act((io) => showOrder(number, json, io), { env });
      return Object(shown.json()).status === "refunded" && shown;
    });
    expect(refunded.json()).toMatchObject({ refunded_amount: 10 });
  });

  it("cancels only after a yes", async () => {
    const order = await placed("pm_card_visa");
    const unasked = await act((io) => cancelOrder(order.number, {}, io), { env });
    expect(unasked).toMatchObject({ code: 2, stdout: "" });
    expect(await statusOf(order)).toBe("confirmed");
    const run = await act((io) => cancelOrder(order.id, { yes: true, reason: "no need" }, io), { env });
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("cancelled  10.00 EUR");
    expect(run.stdout).toContain("(no need)  by ");
  });

  it("does nothing with --dry-run", async () => {
    const order = await placed("pm_card_visa");
    const dry = { dryRun: true, json: true };
    const runs = await Promise.all([
      act((io) => moveOrder(order.number, "delivered", dry, io), { env }),
      act((io) => cancelOrder(order.number, dry, io), { env }),
      act((io) => refundOrder(order.number, { reason: "-", ...dry }, io), { env }),
      act((io) => payOrder(order.number, { method: "pm_card_visa", ...dry }, io), { env }),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(Object(runs[0]?.json()).what).toBe(
      `set ${order.number} to processing, then shipped, then delivered`,
    );
    expect(await statusOf(order)).toBe("confirmed");
  });

  it("says what is to be done first", async () => {
    const { number } = await placed();
    const ship = await act((io) => moveOrder(number, "shipped", {}, io), { env });
    expect(ship).toMatchObject({ code: 1, stdout: "" });
    expect(ship.stderr).toBe(
      `${number} is pending: it can't become shipped.\nPay it first: molecart order pay ${number}\n`,
    );
    const none = await act((io) => showOrder("MC-999999", {}, io), { env });
    expect(none).toMatchObject({ code: 1, stdout: "" });
  });
});

describe("molecart order list", () => {
  it("filters, and shows each as a line", async () => {
    const order = await placed();
    const pending = await act((io) => listOrders({ status: "pending", limit: 100, json: true }, io), { env });
    const numbers = Object(pending.json()).orders.map((one: object) => Object(one).number);
    expect(numbers).toContain(order.number);
    const own = await act((io) => listOrders({ user: ADMIN.email, limit: 100, json: true }, io), { env });
    expect(Object(own.json()).orders.map((one: object) => Object(one).number)).toContain(order.number);
    const nobody = await act((io) => listOrders({ user: "nobody" }, io), { env });
    expect(nobody).toMatchObject({ code: 2, stdout: "" });
    expect(nobody.stderr).toMatch(/^nobody is neither a user's id nor an email\./);
    const table = await act((io) => listOrders({ limit: 5, page: 1 }, io), { env });
    expect(table.stdout).toMatch(/^order +status +total +items +placed \(UTC\)\n/);
    expect(table.stderr).toMatch(/^\d+ orders, page 1 of \d+\.\n$/);
  });
});

describe("molecart order watch", () => {
  it("tells the steps as they happen, until the order is where one waits for it", async () => {
    const order = await placed();
    const { promise: waits, resolve } = Promise.withResolvers<void>();
    const seen = (stdout: string) => stdout.includes('"waiting"') && resolve();
    const watching = act((io) => watchOrder(order.number, { until: "shipped", json: true }, io), {
      env,
      seen,
    });
    await waits;
    await act((io) => payOrder(order.number, { method: "pm_card_visa" }, io), { env });
    await act((io) => moveOrder(order.number, "shipped", {}, io), { env });
    const run = await watching;
    expect(run).toMatchObject({ code: 0, stderr: "" });
    const history = run.lines().filter((line) => Object(line).type === "history");
    expect(history.map((line) => Object(line).to)).toEqual(["pending", "confirmed", "processing", "shipped"]);
    expect(run.lines()).toContainEqual(expect.objectContaining({ type: "saga", state: "waiting" }));
  });

  it("fails when the order can't get there any more", async () => {
    const order = await placed();
    await act((io) => cancelOrder(order.number, { yes: true }, io), { env });
    const run = await act((io) => watchOrder(order.number, { until: "shipped" }, io), { env });
    expect(run.code).toBe(1);
    expect(run.stdout).toContain("pending → cancelled");
  });

  it("ends at Ctrl-C", async () => {
    const order = await placed();
    const stop = new AbortController();
    const seen = () => stop.abort();
    const run = await act((io) => watchOrder(order.number, {}, io), { env, signal: stop.signal, seen });
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toContain("pending  by customer\n");
  });
});

describe("molecart order flow", () => {
  const flow = {
    count: 24,
    concurrency: 4,
    mix: "browse=1,abandon=1,pay=2,decline=1,cancel=1",
    seed: "7",
    json: true,
  };

  it("sends customers of every kind, counts them, and leaves the shop in order", async () => {
    const [first, second] = [
      await act((io) => orderFlow(flow, io), { env }),
      await act((io) => orderFlow(flow, io), { env }),
    ];
    const summaries = [first, second].map((run) => Object(run.lines().at(-1)));
    for (const { code, stderr } of [first, second]) expect([code, stderr]).toEqual([0, ""]);
    const [one] = summaries;
    expect(one).toMatchObject({ type: "summary", count: 24, visits: 24, failed: 0, failures: {} });
    for (const kind of ["abandoned", "paid", "declined", "cancelled"]) expect(one[kind]).toBeGreaterThan(0);
    // The same seed and catalogue make the same visits.
    const counts = ({
      visits,
      searches,
      views,
      carts,
      abandoned,
      orders,
      paid,
      revenue,
    }: Record<string, unknown>) => [visits, searches, views, carts, abandoned, orders, paid, revenue];
    expect(counts(summaries[1])).toEqual(counts(one));
    const orders = await send(shop, "GET", "/api/orders/all?limit=1", undefined, { token });
    expect(orders.at("orders", 0, "synthetic")).toBe(true);
    expect(await act((io) => verify({}, io), { env })).toMatchObject({ code: 0 });
  });

  it("stops at Ctrl-C with each visit at its end, and says what was done", async () => {
    const stop = new AbortController();
    const running = act((io) => orderFlow({ ...flow, count: 10_000 }, io), { env, signal: stop.signal });
    const before = (await send(shop, "GET", "/api/orders/all", undefined, { token })).at(
      "pagination",
      "total",
    );
    await eventually(async () => {
      const now = await send(shop, "GET", "/api/orders/all", undefined, { token });
      return now.at("pagination", "total") !== before;
    });
    stop.abort();
    const run = await running;
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/Cancelled after \d+ of 10000 visits/);
    expect(Object(run.lines().at(-1))).toMatchObject({ type: "summary", failed: 0 });
  });

  it.each(["shopping=1", "pay", "pay=0", "pay=-1"])("refuses the mix %s", async (mix) => {
    const run = await act((io) => orderFlow({ ...flow, mix }, io), { env });
    expect(run).toMatchObject({ code: 2, stdout: "" });
  });
});
