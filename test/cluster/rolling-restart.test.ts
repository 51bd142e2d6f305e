import { beforeAll, expect, it } from "@jest/globals";
import { balanced } from "../helpers/balancer.ts";
import { givenProduct, givenUser, type TestUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";

/** Every node is stopped and started again, one after the other, while customers look around and buy. */

const LAYOUT = {
  "gateway-1": "gateway",
  "gateway-2": "gateway",
  "front-1": "auth,users,cart",
  "front-2": "auth,users,cart",
  "stock-1": "products,inventory",
  "stock-2": "products,inventory",
  "orders-1": "orders,payments",
  "orders-2": "orders,payments",
  "back-1": "notifications,analytics",
  "back-2": "notifications,analytics",
};

describeCluster("a rolling restart under load", LAYOUT, { servers: ["redis", "mongo"] }, (cluster) => {
  let users: TestUser[];
  let product: number;

  beforeAll(async () => {
    users = await Promise.all(Array.from({ length: 4 }, () => givenUser(cluster)));
    product = await givenProduct(cluster, cluster.admin, { price: 10, stock_quantity: 10_000 });
  }, 120_000);

  it("fails no request, whether or not it could be repeated", async () => {
    const log = new ClientLog(balanced(() => [cluster.node("gateway-1"), cluster.node("gateway-2")]));
    let isOver = false;
    const look = async (user: TestUser) => {
      while (!isOver) {
        await log.ask("GET", `/api/products/${product}`);
        await log.ask("GET", "/api/products?limit=5&sort=newest");
        await log.ask("GET", "/api/users/profile", user);
        await log.ask("GET", "/api/orders?limit=3", user);
        await log.ask("GET", "/api/notifications?limit=3", user);
      }
    };
    // What nobody may send twice: a client has no key for it.
    const change = async (user: TestUser) => {
      while (!isOver) {
        await log.ask("POST", "/api/cart/items", user, { product_id: product, quantity: 1 });
        await log.ask("PUT", "/api/users/profile", user, { first_name: "Ada" });
        await log.ask("DELETE", "/api/cart", user);
      }
    };
    const buy = async (user: TestUser) => {
      while (!isOver) await log.order(user, [{ product_id: product, quantity: 1 }]);
    };
    const clients = users.map((user, i) => [look, change, buy, buy][i]?.(user));
    for (const name of cluster.names) {
      const node = cluster.node(name);
      await node.kill("SIGTERM");
      expect([name, await node.exited]).toEqual([name, 0]);
      await cluster.start(name);
    }
    isOver = true;
    await Promise.all(clients);
    tell("a rolling restart of every node under load", log);

    expect(log.failed("200", "201")).toEqual([]);
    expect(log.entries.filter(({ said }) => said.join() !== "201")).toEqual([]);
    expect(log.requests.length).toBeGreaterThan(200);
    expect(log.entries.length).toBeGreaterThan(20);
    await cluster.expectSound(log);
  }, 180_000);
});
