import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type Answer, adminToken, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { type Cluster, startCluster } from "../helpers/cluster.ts";
import { haveServers } from "../helpers/servers.ts";

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
  back: "notifications,analytics",
};
const GATEWAYS = ["gateway-1", "gateway-2"] as const;
const STOCK = 10_000;

(haveServers("nats") ? describe : describe.skip)("a rolling restart under load", () => {
  let cluster: Cluster;
  let user: TestUser;
  let product: number;

  beforeAll(async () => {
    cluster = await startCluster(LAYOUT);
    user = await givenUser(cluster);
    product = await givenProduct(cluster, await adminToken(cluster), { price: 10, stock_quantity: STOCK });
  }, 120_000);
  afterAll(async () => await cluster?.stop(), 60_000);

  /** Sends as through a load balancer: a gateway that takes no connection is passed over. */
  async function balanced(method: string, path: string, body?: object, key?: string): Promise<Answer> {
    const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
    const options = { token: user.token, headers };
    for (const name of [...GATEWAYS, ...GATEWAYS]) {
      try {
        return await send(cluster.node(name), method, path, body, options);
      } catch {
        // The next one.
      }
    }
    throw new Error("No gateway takes a connection.");
  }

  it("fails no read and no order", async () => {
    let isOver = false;
    const reads: number[] = [];
    const orders: number[] = [];
    const look = async () => {
      while (!isOver) {
        reads.push((await balanced("GET", `/api/products/${product}`)).status);
        reads.push((await balanced("GET", "/api/products?limit=5&sort=newest")).status);
        reads.push((await balanced("GET", "/api/users/profile")).status);
        reads.push((await balanced("GET", "/api/orders?limit=3")).status);
      }
    };
    const buy = async (buyer: number) => {
      const body = {
        shipping_address: "12 Analytical Row",
        items: [{ product_id: product, quantity: 1 }],
        payment_method: "pm_card_visa",
      };
      for (let round = 0; !isOver; round++)
        orders.push((await balanced("POST", "/api/orders", body, `buyer-${buyer}-${round}`)).status);
    };
    const clients = [look(), look(), buy(1), buy(2)];
    for (const name of Object.keys(LAYOUT)) {
      const node = cluster.node(name);
      await node.kill("SIGTERM");
      expect([name, await node.exited]).toEqual([name, 0]);
      await cluster.start(name);
    }
    isOver = true;
    await Promise.all(clients);

    const failed = (statuses: number[], good: number) => statuses.filter((status) => status !== good);
    expect(failed(reads, 200)).toEqual([]);
    expect(failed(orders, 201)).toEqual([]);
    expect(reads.length).toBeGreaterThan(100);
    expect(orders.length).toBeGreaterThan(20);
    const [level] = await cluster.sql(
      "SELECT on_hand, reserved, sold::int FROM inventory.levels WHERE product_id = $1",
      [product],
    );
    expect(level).toEqual({ on_hand: STOCK - orders.length, reserved: 0, sold: orders.length });
    process.stdout.write(
      `Rolling restart: ${reads.length} reads and ${orders.length} orders, none failed.\n`,
    );
  }, 180_000);
});
