import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { adminToken, eventually, givenProduct, givenUser, send } from "../helpers/client.ts";
import { type Cluster, startCluster } from "../helpers/cluster.ts";
import { type Collector, edgesOf, type ReceivedSpan, startCollector } from "../helpers/collector.ts";
import { haveServers } from "../helpers/servers.ts";

/** One order's trace over nodes of their own, every store a server, as a collector receives it. */

const LAYOUT = {
  front: "gateway,auth,users,cart",
  orders: "orders",
  stock: "products,inventory",
  payments: "payments",
  tellers: "notifications,analytics",
};
const REQUEST = "traced-request";
const EDGES = [
  "gateway → auth",
  "gateway → orders",
  "orders → cart",
  "orders → inventory",
  "orders → notifications",
  "orders → payments",
  "orders → products",
];
const [SERVER, CLIENT] = [2, 3];

(haveServers("nats", "redis", "mongo") ? describe : describe.skip)("a traced cluster", () => {
  let collector: Collector;
  let cluster: Cluster;
  let email: string;
  let trace: string;
  let spans: ReceivedSpan[];

  beforeAll(async () => {
    collector = await startCollector();
    cluster = await startCluster(LAYOUT, {
      servers: ["redis", "mongo"],
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_TRACES_SAMPLER: "parentbased_always_on",
        OTEL_BSP_SCHEDULE_DELAY: "100",
        LOG_LEVEL: "debug",
      },
    });
    const user = await givenUser(cluster);
    email = user.email;
    const product = await givenProduct(cluster, await adminToken(cluster), { stock_quantity: 5 });
    await send(cluster, "POST", "/api/cart/items", { product_id: product, quantity: 1 }, user);
    const order = await send(
      cluster,
      "POST",
      "/api/orders",
      { shipping_address: "12 Analytical Row", payment_method: "pm_card_visa" },
      { token: user.token, headers: { "x-request-id": REQUEST } },
    );
    expect(order.status).toBe(201);
    const spansOf = (id: string) => collector.spans.filter(({ traceId }) => traceId === id);
    trace = await eventually(
      async () =>
        collector.spans.find(({ attributes }) => attributes["molecart.request_id"] === REQUEST)?.traceId,
    );
    const isTold = ({ service, attributes }: ReceivedSpan) =>
      service === "notifications" && attributes["db.system.name"] === "mongodb";
    // Each node delivers its spans in its own time: all are there once every edge has both of its ends.
    const isWhole = (known: readonly ReceivedSpan[]) => {
      const edges = edgesOf(known);
      return known.some(isTold) && EDGES.every((edge) => edges.includes(edge));
    };
    await eventually(async () => isWhole(spansOf(trace)), 20_000).catch(() => undefined);
    spans = spansOf(trace);
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    await collector?.stop();
  }, 60_000);

  it("shows who called whom", () => {
    expect(edgesOf(spans)).toEqual(expect.arrayContaining(EDGES));
  });

  it("crosses NATS as a call at either end", () => {
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    for (const action of ["orders.checkout", "inventory.reserve", "payments.charge", "inventory.commit"]) {
      const handled = spans.find(({ name, kind }) => name === action && kind === SERVER);
      expect(byId.get(handled?.parentSpanId ?? "")).toMatchObject({ name: action, kind: CLIENT });
    }
  });

  it.each([
    ["orders", "postgresql"],
    ["inventory", "postgresql"],
    ["payments", "postgresql"],
    ["auth", "redis"],
    ["cart", "redis"],
    ["notifications", "mongodb"],
  ])("shows what %s asks %s, below its own action", (service, system) => {
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const asked = spans.filter(
      (span) => span.service === service && span.attributes["db.system.name"] === system,
    );
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.map((span) => byId.get(span.parentSpanId)?.service)).toEqual(asked.map(() => service));
  });

  it("has no span of what nobody asked for", () => {
    const roots = collector.spans.filter(({ parentSpanId }) => parentSpanId === "");
    expect([...new Set(roots.map(({ service, kind }) => `${service} ${kind}`))]).toEqual([
      `gateway ${SERVER}`,
    ]);
  });

  it("holds nothing of who ordered, and no secret", () => {
    const all = collector.bodies.join("\n");
    for (const secret of [email, "a-good-password", "Analytical", "pm_card_visa", "Bearer"])
      expect(all.includes(secret)).toBe(false);
  });

  it("is named with the request in the nodes' logs", () => {
    const ofRequest = (line: string) => line.includes(`"request_id":"${REQUEST}"`);
    const lines = new Map(
      Object.keys(LAYOUT).map((name) => [name, cluster.node(name).output().split("\n").filter(ofRequest)]),
    );
    const traces = [...lines.values()].flat().map((line) => JSON.parse(line).trace_id);
    expect([...new Set(traces)]).toEqual([trace]);
    // Whoever calls or tells others says so at this level. Any node with jobs may be the one that delivers the events.
    expect([...lines].filter(([name, found]) => name !== "payments" && found.length === 0)).toEqual([]);
  });

  it("goes on when the collector is away, and says so once", async () => {
    await collector.stop();
    for (let n = 0; n < 5; n++) expect((await send(cluster, "GET", "/api/products")).status).toBe(200);
    await eventually(
      async () => cluster.node("stock").output().includes("Traces can't be delivered"),
      20_000,
    );
    expect(
      cluster
        .node("stock")
        .output()
        .match(/Traces can't be delivered/g),
    ).toHaveLength(1);
    expect(await cluster.failing("stock")).toEqual([]);
  });
});
