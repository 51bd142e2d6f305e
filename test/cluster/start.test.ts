import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { send } from "../helpers/client.ts";
import { type Cluster, startCluster } from "../helpers/cluster.ts";
import { haveServers } from "../helpers/servers.ts";

const LAYOUT = {
  "front-1": "gateway,auth,cart",
  "front-2": "auth,users,cart",
  "stock-1": "products,inventory",
  "stock-2": "products,inventory,payments",
  "orders-1": "orders,payments",
  "orders-2": "orders,users,notifications,analytics",
};

(haveServers("nats", "redis", "mongo") ? describe : describe.skip)("a cluster on empty stores", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster(LAYOUT, { servers: ["redis", "mongo"] });
  }, 120_000);
  afterAll(async () => await cluster?.stop(), 60_000);

  it("has six nodes that started at once, all of them ready", async () => {
    for (const name of Object.keys(LAYOUT)) {
      expect([name, await cluster.failing(name)]).toEqual([name, []]);
      expect(cluster.node(name).output()).not.toMatch(/"level":(50|60)/);
    }
  });

  it("counts the nodes of each service", async () => {
    const { body } = await send(cluster, "GET", "/health");
    expect(body).toMatchObject({
      status: "healthy",
      services: {
        gateway: { instances: 1 },
        auth: { instances: 2 },
        orders: { instances: 2 },
        payments: { instances: 2 },
        notifications: { instances: 1 },
      },
    });
  });

  it("tells of each node's health and figures, on a port of its own", async () => {
    for (const name of Object.keys(LAYOUT)) {
      const [live, metrics, other] = await Promise.all(
        ["/health/live", "/metrics", "/api/products"].map((path) => fetch(`${cluster.probe(name)}${path}`)),
      );
      expect([live?.status, metrics?.status, other?.status]).toEqual([200, 200, 404]);
      const text = (await metrics?.text()) ?? "";
      expect(text).toMatch(new RegExp(`^moleculer_broker_started\\{.*node="${name}".*\\} 1$`, "m"));
      expect(text).not.toContain("hostname");
    }
  });

  it("applied each migration once, and made one admin", async () => {
    const schemas = ["users", "products", "inventory", "orders", "payments"];
    for (const schema of schemas) {
      const rows = await cluster.sql<{ name: string }>(`SELECT name FROM ${schema}.migrations ORDER BY name`);
      expect([schema, rows.length > 0]).toEqual([schema, true]);
      expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
    }
    expect(await cluster.sql("SELECT 1 FROM users.users WHERE role = 'admin'")).toHaveLength(1);
  });
});
