import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { brokerOptions } from "../../lib/broker.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { type MetricName, metricNames } from "../../lib/metrics-catalogue.ts";
import { adminToken, eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { metricsIn, panelExpressions, ruleExpressions, testedSeries } from "../helpers/monitoring.ts";
import { parseMetrics } from "../helpers/prometheus.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** What a shop tells of itself after orders of every kind. */

const PRICE = 29.99;
let shop: Shop;
let admin: string;
let user: TestUser;
let product: number;

beforeAll(async () => {
  // An order that nobody pays is soon given up.
  shop = await startShop({ env: { RESERVATION_TTL: "1" } });
  admin = await adminToken(shop);
  user = await givenUser(shop);
  product = await givenProduct(shop, admin, { stock_quantity: 10, price: PRICE });

  expect(await order("pm_card_visa")).toMatchObject({ status: 201 });
  expect(await order("pm_card_chargeDeclined")).toMatchObject({ status: 402 });
  expect(await order("pm_sandbox_unavailable")).toMatchObject({ status: 503 });
  expect(await order("pm_card_visa", { items: [{ product_id: product, quantity: 11 }] })).toMatchObject({
    status: 409,
  });
  expect(await order("pm_card_visa", { synthetic: true })).toMatchObject({ status: 201 });

  const cancelled = await order("pm_card_visa");
  await send(shop, "POST", `/api/orders/${cancelled.at("order", "id")}/cancel`, {}, { token: user.token });

  const returned = await order("pm_card_visa");
  const statusOf = `/api/orders/${returned.at("order", "id")}/status`;
  for (const status of ["processing", "shipped", "delivered", "refunded"])
    expect(await send(shop, "PUT", statusOf, { status }, { token: admin })).toMatchObject({ status: 200 });

  const unpaid = `/api/orders/${(await order()).at("order", "id")}`;
  await eventually(
    async () => (await send(shop, "GET", unpaid, undefined, user)).at("status") === "cancelled",
  );
  // Figures are read at the first scrape and kept for a while: not before all is done.
  const sagas = () => send(shop, "GET", "/api/admin/sagas", undefined, { token: admin });
  await eventually(async () => (await sagas()).at("pagination", "total") === 0);
  await eventually(async () => (await told("molecart_event_deliveries_total", { outcome: "ok" })) >= 20);
  await eventually(async () => (await told("molecart_saga_duration_seconds_count")) === 10);
}, 60_000);
afterAll(async () => await shop?.stop());

function order(payment_method?: string, rest: object = {}) {
  const body = {
    items: [{ product_id: product, quantity: 1 }],
    shipping_address: "12 Analytical Row",
    ...(payment_method === undefined ? {} : { payment_method }),
    ...rest,
  };
  return send(shop, "POST", "/api/orders", body, { token: user.token });
}

const samples = async () => parseMetrics(await (await fetch(`${shop.url}/metrics`)).text());

/** The sum of all samples of this name with these labels. */
async function told(name: string, labels: Record<string, string> = {}): Promise<number> {
  const found = (await samples()).filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return found.reduce((sum, { value }) => sum + value, 0);
}

it("exports every metric of the catalogue", async () => {
  const names = new Set((await samples()).map(({ name }) => name.replace(/_(bucket|sum|count)$/, "")));
  expect(metricNames.filter((name) => !names.has(name))).toEqual([]);
});

it("exports every metric that a dashboard or a rule reads", async () => {
  // Moleculer's figures of the process, which brokers of tests don't collect.
  const config = { ...shop.config, NODE_ENV: "production", METRICS_PORT: 0 };
  const node = new ServiceBroker({ ...brokerOptions(config), logger: false });
  await node.start();
  const text = await metricsOf(node).text();
  await node.stop();
  const names = new Set([...(await samples()), ...parseMetrics(text)].map(({ name }) => name));
  const read = [...panelExpressions(), ...ruleExpressions()].flatMap(({ expr }) => metricsIn(expr));
  const missing = new Set(read.filter((name) => !names.has(name)));
  // What only a cluster has: the exporter's of NATS (test/cluster/monitoring.test.ts).
  expect([...missing].filter((name) => !name.startsWith("gnatsd_"))).toEqual([]);
});

it("tells the labels that the alerts are tested with", async () => {
  await send(shop, "GET", "/api/products");
  const all = await samples();
  const open = ["method", "route", "provider", "database", "queue"];
  const untold = testedSeries()
    .filter(({ metric }) => metric.startsWith("molecart_"))
    .flatMap(({ metric, labels }) => {
      const own = all.filter(({ name }) => name === metric);
      return labels
        .filter(({ name }) => open.includes(name))
        .filter(({ name, value }) => !own.some((sample) => sample.labels[name] === value))
        .map(({ name, value }) => `${metric}{${name}="${value}"}`);
    });
  expect([...new Set(untold)]).toEqual([]);
});

describe("what orders of every kind were counted as", () => {
  const rows: [MetricName | `${MetricName}_count`, Record<string, string>, number][] = [
    ["molecart_orders_total", { status: "pending" }, 8],
    ["molecart_orders_total", { status: "confirmed" }, 4],
    ["molecart_orders_total", { status: "shipped" }, 1],
    ["molecart_orders_total", { status: "cancelled" }, 5],
    ["molecart_orders_total", { status: "refunded" }, 1],
    ["molecart_reservations_expired_total", {}, 1],
    ["molecart_stock_refusals_total", {}, 1],
    ["molecart_stock_oversold", {}, 0],
    ["molecart_payments_total", { provider: "sandbox", outcome: "captured" }, 4],
    ["molecart_payments_total", { provider: "sandbox", outcome: "declined" }, 1],
    ["molecart_payments_total", { outcome: "unknown" }, 0],
    ["molecart_saga_duration_seconds_count", { kind: "checkout", outcome: "done" }, 4],
    ["molecart_saga_duration_seconds_count", { kind: "checkout", outcome: "undone" }, 3],
    ["molecart_saga_duration_seconds_count", { kind: "closing", outcome: "done" }, 3],
    ["molecart_saga_steps_total", { step: "reserve", outcome: "ok" }, 7],
    ["molecart_saga_steps_total", { step: "reserve", outcome: "refused" }, 1],
    ["molecart_saga_steps_total", { step: "charge", outcome: "refused" }, 2],
    ["molecart_saga_steps_total", { step: "undo reserve", outcome: "ok" }, 2],
    ["molecart_saga_steps_total", { outcome: "unknown" }, 0],
    ["molecart_sagas_parked", {}, 0],
    ["molecart_sagas", { state: "running" }, 0],
    ["molecart_dead_letters", { database: "common", queue: "events-orders-dead" }, 0],
    ["molecart_event_deliveries_total", { outcome: "failed" }, 0],
    ["molecart_store_up", { store: "database" }, 1],
  ];
  it.each(rows)("%s %j is %d", async (name, labels, value) => {
    expect(await told(name, labels)).toBe(value);
  });

  it("counts each try at a provider that is away", async () => {
    expect(
      await told("molecart_payments_total", { provider: "sandbox", outcome: "unavailable" }),
    ).toBeGreaterThanOrEqual(1);
  });

  it("counts confirmed orders as revenue, those of a load generator not", async () => {
    expect(await told("molecart_revenue_total", { currency: "EUR" })).toBeCloseTo(3 * PRICE);
  });
});

it("times each action in buckets, and counts hits of the cache", async () => {
  const before = await told("molecart_cache_requests_total", { result: "hit" });
  for (let n = 0; n < 2; n++) await send(shop, "GET", `/api/products/${product}`);
  expect(await told("molecart_cache_requests_total", { result: "hit" })).toBeGreaterThan(before);
  const labels = { service: "orders", action: "orders.checkout", caller: "gateway", type: "local", le: "10" };
  expect(await told("molecart_call_duration_seconds_bucket", labels)).toBe(8);
});

it("tells nothing of who ordered", async () => {
  const text = await (await fetch(`${shop.url}/metrics`)).text();
  for (const secret of [user.id, user.email, "Analytical", "pm_card"]) expect(text).not.toContain(secret);
});
