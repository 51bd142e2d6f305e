import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import pg from "pg";
import { Value } from "typebox/value";
import { brokerOptions } from "../../lib/broker.ts";
import { addCheck, keepHealthFor, notReady } from "../../lib/health.ts";
import { Pinger } from "../../lib/stores/pinger.ts";
import { contracts } from "../../services/contracts.ts";
import { Health } from "../../services/gateway/gateway.contract.ts";
import { eventually, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
/** Stores that don't answer, `service` by `service`; `hangs` for one that never does. */
const broken = new Map<string, "fails" | "hangs">();

beforeAll(async () => {
  shop = await startShop();
  keepHealthFor(shop.broker, 50);
  for (const service of ["orders", "cart"]) {
    addCheck(shop.broker, service, "documents", "files", async () => {
      if (broken.get(service) === "hangs") await new Promise<never>(() => undefined);
      if (broken.get(service) === "fails") throw new Error("away");
    });
  }
});
afterAll(async () => await shop.stop());

/** Waits until the cached answer has been replaced by one of this status. */
const becomes = (path: string, wanted: string) =>
  eventually(async () => {
    const answer = await send(shop, "GET", path);
    return answer.body.status === wanted && answer;
  });

describe("the health of a shop that works", () => {
  it.each(["/health", "/api/health"])("is told at %s, with each of its services", async (path) => {
    const { status, body } = await send(shop, "GET", path);
    expect(status).toBe(200);
    expect(Value.Check(Health, body)).toBe(true);
    const services = Object.fromEntries(
      contracts.map(({ name }) => [name, { status: "healthy", instances: 1 }]),
    );
    expect(body).toMatchObject({ status: "healthy", services });
  });

  it.each(["/health/live", "/api/health/live"])("%s: alive", async (path) => {
    expect((await send(shop, "GET", path)).body).toEqual({ status: "alive" });
  });

  it.each(["/health/ready", "/api/health/ready"])("%s: ready", async (path) => {
    const { status, body } = await send(shop, "GET", path);
    expect([status, body]).toEqual([200, { status: "ready", failing: [] }]);
  });
});

describe("a store that is away", () => {
  it.each(["fails", "hangs"] as const)(
    "makes the shop unhealthy and the node unready if checkout needs it: it %s",
    async (how) => {
      broken.set("orders", how);
      const health = await becomes("/health", "unhealthy");
      expect(health.status).toBe(503);
      expect(health.at("services", "orders", "status")).toBe("unhealthy");
      expect(health.at("services", "payments", "status")).toBe("healthy");
      const ready = await becomes("/health/ready", "not ready");
      expect([ready.status, ready.body.failing]).toEqual([503, ["orders: documents"]]);
      expect((await send(shop, "GET", "/health/live")).status).toBe(200);
      broken.clear();
      expect((await becomes("/health", "healthy")).status).toBe(200);
      expect((await becomes("/health/ready", "ready")).status).toBe(200);
    },
  );

  it("only degrades the shop if it can sell without", async () => {
    broken.set("cart", "fails");
    const health = await becomes("/health", "degraded");
    expect(health.status).toBe(200);
    expect(health.at("services", "cart", "status")).toBe("unhealthy");
    broken.clear();
    await becomes("/health", "healthy");
  });
});

describe("a service that nobody offers", () => {
  const CASES: [string, string, number][] = [
    ["notifications", "degraded", 200],
    ["analytics", "degraded", 200],
    ["cart", "degraded", 200],
    ["payments", "unhealthy", 503],
    ["inventory", "unhealthy", 503],
    ["products", "unhealthy", 503],
    ["orders", "unhealthy", 503],
    ["users", "unhealthy", 503],
    ["auth", "unhealthy", 503],
  ];

  it("makes the shop degraded or unhealthy, as checkout needs it", async () => {
    const own = await startShop();
    try {
      for (const [name, wanted, status] of CASES) {
        await own.broker.destroyService(own.broker.getLocalService(name));
        const answer = await send(own, "GET", "/health");
        expect({ name, status: answer.status, health: answer.body.status }).toEqual({
          name,
          status,
          health: wanted,
        });
        expect(answer.at("services", name)).toEqual({ status: "unhealthy", instances: 0 });
      }
    } finally {
      await own.stop();
    }
  });
});

describe("a node that is on its way up or down", () => {
  it("is not ready", async () => {
    const broker = new ServiceBroker(brokerOptions(shop.config));
    expect(await notReady(broker)).toEqual(["starting"]);
    await broker.start();
    expect(await notReady(broker)).toEqual([]);
    const stopped = broker.stop();
    expect(await notReady(broker)).toEqual(["stopping"]);
    await stopped;
    expect(await notReady(broker)).toEqual(["stopping"]);
  });
});

describe("the question to Postgres", () => {
  it("is answered, also after its connection was ended", async () => {
    const pinger = new Pinger(shop.databaseUrl);
    await pinger.ping();
    const client = new pg.Client({ connectionString: shop.databaseUrl });
    await client.connect();
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'molecart-health' AND datname = current_database()`,
    );
    await client.end();
    await eventually(
      async () =>
        await pinger.ping().then(
          () => true,
          () => false,
        ),
    );
    await Promise.all([pinger.ping(), pinger.ping()]);
    await pinger.close();
  });

  it("fails soon where nobody listens, and where nobody answers", async () => {
    const silent = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve).unref());
    const address = silent.address();
    if (typeof address !== "object" || address === null) throw new Error("not listening");
    const mute = new Pinger(`postgres://u:p@127.0.0.1:${address.port}/d`);
    const started = performance.now();
    await expect(mute.ping()).rejects.toThrow();
    expect(performance.now() - started).toBeLessThan(3000);
    await mute.close();
    await new Promise((resolve) => silent.close(resolve));
    const absent = new Pinger(`postgres://u:p@127.0.0.1:${address.port}/d`);
    await expect(absent.ping()).rejects.toThrow();
  });
});
