import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import {
  type Answer,
  adminToken,
  eventually,
  givenProduct,
  givenUser,
  send,
  type TestUser,
} from "../helpers/client.ts";
import { type Collector, edgesOf, type ReceivedSpan, startCollector } from "../helpers/collector.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** One process, its traces sent to a collector as a cluster's are. */

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const ADDRESS = "12 Analytical Row";
let collector: Collector;
let shop: Shop;
let user: TestUser;
let product: number;
let order: Answer;

beforeAll(async () => {
  collector = await startCollector();
  shop = await startShop({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "50" },
  });
  user = await givenUser(shop);
  product = await givenProduct(shop, await adminToken(shop));
  order = await place(`00-${TRACE}-00f067aa0ba902b7-01`);
}, 60_000);
afterAll(async () => {
  await shop?.stop();
  await collector?.stop();
});

const place = (traceparent: string, fields: object = {}) =>
  send(
    shop,
    "POST",
    "/api/orders",
    {
      items: [{ product_id: product, quantity: 1 }],
      shipping_address: ADDRESS,
      payment_method: "pm_card_visa",
      ...fields,
    },
    { token: user.token, headers: { traceparent, "x-request-id": "my-request" } },
  );

const traceOf = (id: string) => collector.spans.filter(({ traceId }) => traceId === id);

/** The trace, once it holds what is asked for. */
const traceWith = (id: string, isThere: (span: ReceivedSpan) => boolean) =>
  eventually(async () => traceOf(id).some(isThere) && traceOf(id));

describe("an order's trace", () => {
  let spans: ReceivedSpan[];
  beforeAll(async () => {
    expect(order.status).toBe(201);
    await traceWith(TRACE, ({ name }) => name === "analytics.onOrder");
    spans = await traceWith(TRACE, ({ service, kind }) => service === "notifications" && kind === 2);
  });

  it("goes on with the client's, and holds who called whom", () => {
    const [root] = spans.filter(({ parentSpanId }) => parentSpanId === "00f067aa0ba902b7");
    expect(root).toMatchObject({
      service: "gateway",
      name: "POST /api/orders",
      kind: 2,
      attributes: {
        "http.request.method": "POST",
        "http.route": "/api/orders",
        "http.response.status_code": "201",
        "molecart.request_id": "my-request",
      },
    });
    expect(edgesOf(spans)).toEqual(
      expect.arrayContaining([
        "gateway → auth",
        "gateway → orders",
        "orders → inventory",
        "orders → notifications",
        "orders → payments",
        "orders → products",
      ]),
    );
  });

  it("holds each service's SQL, without a value, below what asked it", () => {
    const sql = spans.filter(({ attributes }) => attributes["db.system.name"] === "postgresql");
    for (const service of ["orders", "inventory", "payments"])
      expect(sql.filter((span) => span.service === service).length).toBeGreaterThan(1);
    const ids = new Map(spans.map((span) => [span.spanId, span]));
    expect(sql.filter(({ parentSpanId }) => !ids.has(parentSpanId))).toEqual([]);
    expect(sql.filter((span) => ids.get(span.parentSpanId)?.service !== span.service)).toEqual([]);
    expect(sql.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["WITH orders.checkout_keys", "SELECT inventory.reserve"]),
    );
    const texts = sql.map(({ attributes }) => attributes["db.query.text"] ?? "");
    expect(texts.filter((text) => /'[^']*'/.test(text))).toEqual([]);
  });

  it("holds the provider's charge, and the event from its sending to its delivery", () => {
    expect(spans.find(({ name }) => name === "charge sandbox")).toMatchObject({
      service: "payments",
      kind: 3,
      attributes: { "peer.service": "sandbox" },
    });
    const sent = spans.find(({ name }) => name === "send events-notifications");
    expect(sent).toMatchObject({ service: "orders", kind: 4 });
    const processed = spans.find(({ name }) => name === "process events-notifications");
    expect(processed).toMatchObject({ service: "orders", kind: 5, parentSpanId: sent?.spanId });
    const told = spans.find(({ parentSpanId }) => parentSpanId === processed?.spanId);
    expect(told).toMatchObject({
      service: "notifications",
      kind: 2,
      attributes: { "rpc.service": "notifications" },
    });
  });
});

it("is named by an error's answer, and marks what was refused", async () => {
  const other = "0af7651916cd43dd8448eb211c80319c";
  const answer = await place(`00-${other}-b7ad6b7169203331-01`, {
    items: [{ product_id: product, quantity: 100 }],
  });
  expect([answer.status, answer.body.trace_id]).toEqual([409, other]);
  const spans = await traceWith(other, ({ service, kind }) => service === "gateway" && kind === 2);
  const reserve = spans.find(({ name }) => name === "inventory.reserve");
  expect(reserve?.attributes["error.type"]).toBe("INSUFFICIENT_STOCK");
});

it("begins a new one for what is no trace context, and leaves one alone that isn't to be sampled", async () => {
  const unsampled = "11111111111111111111111111111111";
  const cases = [
    "nonsense",
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    `00-${unsampled}-b7ad6b7169203331-00`,
  ];
  const ids: unknown[] = [];
  for (const traceparent of cases) {
    const answer = await send(shop, "GET", "/api/products/999999", undefined, { headers: { traceparent } });
    expect(answer.status).toBe(404);
    ids.push(answer.body.trace_id);
  }
  expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
  expect(ids[1]).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
  expect(ids[2]).toBe(unsampled);
  await traceWith(String(ids[1]), ({ service }) => service === "gateway");
  expect(traceOf(unsampled)).toEqual([]);
});

it("holds nothing of who ordered, and no secret", async () => {
  await send(shop, "POST", "/api/auth/login", { email: user.email, password: user.password });
  await send(shop, "GET", "/api/users/me", undefined, { token: user.token });
  await send(shop, "GET", `/nowhere/${user.email}?token=${user.token}`);
  const login = (one: ReceivedSpan) => one.name === "auth.login";
  await eventually(async () => collector.spans.some(login));
  await eventually(async () => collector.spans.some(({ name }) => name === "GET unrouted"));
  const all = collector.bodies.join("\n");
  for (const secret of [
    user.email,
    user.password,
    user.token,
    user.refreshToken,
    user.token.split(".")[2] ?? "",
    ADDRESS,
    "Lovelace",
    "pm_card_visa",
    "127.0.0.1",
    "admin-password",
  ])
    expect(all.includes(secret)).toBe(false);
});
