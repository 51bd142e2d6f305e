import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import Type from "typebox";
import { Check } from "typebox/value";
import { createIo } from "../../cli/lib/io.ts";
import { AdminWatch } from "../../cli/status/admin-watch.ts";
import { addCheck } from "../../lib/health.ts";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import { ShopStatus } from "../../services/gateway/status.contract.ts";
import { adminOf } from "../cli/support.ts";
import { adminToken, eventually, givenProduct, givenUser, send } from "../helpers/client.ts";
import { ADMIN } from "../helpers/env.ts";
import { query } from "../helpers/query.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let token: string;

beforeAll(async () => {
  shop = await startShop();
  token = await adminToken(shop);
});
afterAll(() => shop?.stop());

async function status(): Promise<ShopStatus> {
  const answer = await send(shop, "GET", "/api/admin/status", undefined, { token });
  expect(answer.status).toBe(200);
  const body: unknown = answer.body;
  if (!Check(ShopStatus, body)) throw new Error("The answer is off its contract.");
  return body;
}
/** The first answer that passes. */
const statusWhen = (passes: (status: ShopStatus) => boolean | undefined) =>
  eventually(async () => {
    const answer = await status();
    return passes(answer) && answer;
  });

async function order(product: number, body: object = { payment_method: "pm_card_visa" }) {
  const items = [{ product_id: product, quantity: 1 }];
  const answer = await send(
    shop,
    "POST",
    "/api/orders",
    { items, shipping_address: "Home", ...body },
    { token },
  );
  expect(answer.status).toBe(201);
}

describe("GET /api/admin/status", () => {
  it("is for admins", async () => {
    const { token: customer } = await givenUser(shop);
    const as = async (who?: string) =>
      (await send(shop, "GET", "/api/admin/status", undefined, { token: who })).status;
    expect([await as(), await as(customer), await as(token)]).toEqual([401, 403, 200]);
  });

  it("tells of the node, its stores and every service", async () => {
    // On a busy machine the first look may come before every store has ever answered.
    const { nodes, stores, services, ...rest } = await statusWhen((answer) => answer.status === "healthy");
    expect(rest).toMatchObject({ circuits: [], not_asked: [] });
    expect(nodes).toEqual([
      expect.objectContaining({
        id: shop.broker.nodeID,
        state: "ready",
        failing: [],
        figures: expect.objectContaining({
          version: "0.1.0",
          node_version: process.versions.node,
          rss_bytes: expect.any(Number),
        }),
      }),
    ]);
    const figures = nodes[0]?.figures;
    expect(figures?.rss_bytes).toBeGreaterThan(10_000_000);
    expect(figures?.cpu_percent).toBeGreaterThan(0);
    expect(figures?.latency_ms).toBeLessThan(500);
    expect(stores.map(({ name, up }) => [name, up])).toEqual(
      expect.arrayContaining([
        ["postgres", true],
        ["files", true],
      ]),
    );
    expect(services.map(({ name }) => name).sort()).toEqual([...SERVICE_NAMES].sort());
    expect(services.every((one) => one.status === "healthy" && one.instances === 1 && one.ready === 1)).toBe(
      true,
    );
  });

  it("counts calls and faults, not refusals, and their latency", async () => {
    const figuresOf = (answer: ShopStatus, name: string) => {
      const own = answer.services.find((service) => service.name === name);
      return { calls: own?.calls ?? 0, errors: own?.errors ?? 0, p50: own?.p50_ms, p99: own?.p99_ms };
    };
    const before = await status();
    for (let i = 0; i < 20; i++) await send(shop, "GET", `/api/products/${1_000_000 + i}`);
    const after = await statusWhen(
      (answer) => figuresOf(answer, "products").calls >= figuresOf(before, "products").calls + 20,
    );
    expect(figuresOf(after, "products").errors).toBe(figuresOf(before, "products").errors);
    expect(figuresOf(after, "gateway").calls).toBeGreaterThanOrEqual(figuresOf(before, "gateway").calls + 20);
    const { p50, p99 } = figuresOf(after, "gateway");
    expect(p50).toBeGreaterThan(0);
    expect(p99).toBeGreaterThanOrEqual(p50 ?? 0);
  });

  it("counts orders and revenue by the minute, sagas, queues, and what runs low", async () => {
    const low = await givenProduct(shop, token, { stock_quantity: 3, price: 10, name: "Last lamps" });
    await order(low);
    await order(low, {});
    const answer = await statusWhen(({ low_stock, sales }) => {
      const left = low_stock?.products.find(({ id }) => id === low)?.available;
      return left === 1 && (sales?.minutes.at(-1)?.orders ?? 0) + (sales?.minutes.at(-2)?.orders ?? 0) >= 2;
    });
    expect(answer.low_stock).toMatchObject({ threshold: 5 });
    expect(answer.sales?.currency).toBe("EUR");
    expect(answer.sales?.minutes).toHaveLength(60);
    const sum = (figure: "orders" | "paid" | "revenue") =>
      answer.sales?.minutes.reduce((total, minute) => total + minute[figure], 0);
    expect([sum("orders"), sum("paid"), sum("revenue")]).toEqual([2, 1, 10]);
    expect(answer.sagas).toMatchObject({ waiting: 1, parked: 0, stuck: 0 });
    expect(answer.queues?.find(({ queue }) => queue === "orders-expiry")).toMatchObject({ scheduled: 1 });
  });

  it("takes a saga for stuck by when it was set going, not by its age", async () => {
    const old = "created_at = now() - interval '10 minutes', lease_until = now() + interval '1 hour'";
    await query(
      shop.databaseUrl,
      `UPDATE orders.sagas SET state = 'running', ${old} WHERE state = 'waiting'`,
    );
    await statusWhen(({ sagas }) => sagas?.running === 1 && sagas.stuck === 0 && sagas.oldest_s >= 600);
    // A UUIDv7 of 2024.
    const job = "job_id = '01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11'";
    await query(shop.databaseUrl, `UPDATE orders.sagas SET ${job} WHERE state = 'running'`);
    await statusWhen(({ sagas }) => sagas?.stuck === 1);
    await query(shop.databaseUrl, "UPDATE orders.sagas SET state = 'parked' WHERE state = 'running'");
    await statusWhen(({ sagas }) => sagas?.stuck === 0 && sagas.parked === 1);
  });

  it("is asked by a screen in one session, also after the one before was ended", async () => {
    const { id } = await shop.call("users.find", { email: ADMIN.email }).then((user) => user ?? { id: "" });
    const sessions = async () =>
      (await query(shop.databaseUrl, "SELECT FROM kv.entries WHERE key LIKE 'session:%'")).length;
    const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    const io = createIo({ env: adminOf(shop), ...streams }, new AbortController().signal);
    const watch = new AdminWatch({}, io);
    await watch.status();
    const before = await sessions();
    await shop.call("auth.endSessions", { user_id: id });
    await Promise.all([watch.status(), watch.request("/api/orders/all", Type.Unknown()), watch.status()]);
    expect(await sessions()).toBe(before + 1);
    await watch.close();
    token = await adminToken(shop);
  });

  it("is asked once a second, by however many", async () => {
    await statusWhen(() => true);
    const answers = await Promise.all(Array.from({ length: 10 }, status));
    expect(new Set(answers.map(({ timestamp }) => timestamp)).size).toBeLessThanOrEqual(2);
  });
});

describe("what is broken", () => {
  it("is told within a second: a store that hangs, a service that is gone", async () => {
    let isHung = true;
    addCheck(shop.broker, "notifications", "jobs", "files", async () => {
      if (isHung) await new Promise(() => undefined);
    });
    const hung = await statusWhen(({ nodes }) => nodes[0]?.state === "not ready");
    expect(hung).toMatchObject({ status: "degraded" });
    expect(hung.nodes[0]?.failing).toEqual(["notifications: jobs"]);
    expect(hung.stores.find(({ name }) => name === "files")).toMatchObject({
      up: false,
      failing: [`${shop.broker.nodeID} notifications: jobs`],
    });
    expect(hung.services.find(({ name }) => name === "notifications")).toMatchObject({
      instances: 1,
      ready: 0,
    });
    const started = performance.now();
    await status();
    expect(performance.now() - started).toBeLessThan(1_000);
    isHung = false;
    await statusWhen(({ nodes }) => nodes[0]?.state === "ready");

    await shop.broker.destroyService("orders");
    const gone = await statusWhen((answer) => answer.status === "unhealthy");
    expect(gone).toMatchObject({ sales: null, sagas: null, not_asked: ["orders"] });
    expect(gone.queues).not.toBeNull();
    expect(gone.low_stock).not.toBeNull();
  });
});
