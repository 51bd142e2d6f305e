import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { adminToken, eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { type Cluster, startCluster } from "../helpers/cluster.ts";
import { haveServers } from "../helpers/servers.ts";

/** Nodes that are killed with -9 in the middle of their work: others finish it, within the time that was promised. */

const LAYOUT = {
  gateway: "gateway",
  "front-1": "auth,users,cart",
  "front-2": "auth,users,cart",
  "stock-1": "products,inventory",
  "stock-2": "products,inventory",
  "orders-1": "orders,payments",
  "orders-2": "orders,payments,notifications,analytics",
};
/** ms within which an order whose node died has ended. */
const PROMISED = 15_000;

(haveServers("nats") ? describe : describe.skip)("a cluster whose nodes are killed", () => {
  let cluster: Cluster;
  let user: TestUser;
  let admin: string;

  beforeAll(async () => {
    cluster = await startCluster(LAYOUT);
    [user, admin] = await Promise.all([givenUser(cluster), adminToken(cluster)]);
  }, 120_000);
  afterAll(async () => await cluster?.stop(), 60_000);

  const order = (product: number, payment_method: string, key: string) =>
    send(
      cluster,
      "POST",
      "/api/orders",
      {
        shipping_address: "12 Analytical Row",
        items: [{ product_id: product, quantity: 1 }],
        payment_method,
      },
      { token: user.token, headers: { "Idempotency-Key": key } },
    );

  /** Starts `orders-1` so that it dies at `point`, and orders until it does. @returns the keys of what was ordered */
  async function killAt(point: string, product: number, paymentMethod: string): Promise<string[]> {
    const victim = await cluster.start("orders-1", { CRASH_AT: point });
    const keys: string[] = [];
    // Calls are spread in turn: one of the first two meets it.
    while (victim.process.signalCode === null && keys.length < 4) {
      const key = `${point}-${keys.length}`;
      keys.push(key);
      const started = performance.now();
      const answer = await order(product, paymentMethod, key);
      expect([201, 402, 503, 504]).toContain(answer.status);
      // Whoever asked the dead node learns of it soon, not after the heartbeats.
      expect(performance.now() - started).toBeLessThan(3_000);
    }
    expect(victim.process.signalCode).toBe("SIGKILL");
    return keys;
  }

  const points: [point: string, method: string, status: string][] = [
    ["checkout.reserve.after", "pm_card_visa", "confirmed"],
    ["checkout.charge.after", "pm_card_visa", "confirmed"],
    ["checkout.confirm.after", "pm_card_visa", "confirmed"],
    ["checkout.charge.undo.before", "pm_card_chargeDeclined", "cancelled"],
  ];
  it.each(points)(
    "at %s: another node ends the order within 15 s, charged and sold once",
    async (point, method, status) => {
      const product = await givenProduct(cluster, admin, { price: 10, stock_quantity: 100 });
      const keys = await killAt(point, product, method);
      const killedAt = performance.now();

      const ended = await eventually(async () => {
        const rows = await cluster.sql<{ status: string }>(
          `SELECT o.status FROM orders.orders o JOIN orders.items i ON i.order_id = o.id WHERE i.product_id = $1
           AND NOT EXISTS (SELECT 1 FROM orders.sagas s WHERE s.order_id = o.id AND s.state IN ('running', 'compensating'))`,
          [product],
        );
        return rows.length === keys.length && rows;
      }, PROMISED);
      expect(performance.now() - killedAt).toBeLessThan(PROMISED);
      expect(new Set(ended.map((row) => row.status))).toEqual(new Set([status]));

      const sold = status === "confirmed" ? keys.length : 0;
      const [level] = await cluster.sql(
        "SELECT on_hand, reserved FROM inventory.levels WHERE product_id = $1",
        [product],
      );
      expect(level).toEqual({ on_hand: 100 - sold, reserved: 0 });
      const captures = await cluster.sql(
        `SELECT p.order_id FROM payments.payments p JOIN orders.items i ON i.order_id = p.order_id
       WHERE i.product_id = $1 AND p.status = 'captured'`,
        [product],
      );
      expect(captures).toHaveLength(sold);

      // Whoever asks again under the same key learns of the one order there is.
      const again = await order(product, method, keys.at(-1) ?? "");
      expect(again.status).toBe(status === "confirmed" ? 201 : 402);
      expect(again.headers.get("idempotent-replayed")).toBe("true");
    },
  );

  it("fails no read while a node of each kind is killed", async () => {
    const product = await givenProduct(cluster, admin);
    await cluster.start("orders-1");
    const statuses: number[] = [];
    const read = async () => {
      const answers = await Promise.all([
        send(cluster, "GET", `/api/products/${product}`),
        send(cluster, "GET", "/api/products?limit=3&sort=newest"),
        send(cluster, "GET", "/api/orders", undefined, { token: user.token }),
        send(cluster, "GET", "/api/users/profile", undefined, { token: user.token }),
      ]);
      statuses.push(...answers.map(({ status }) => status));
    };
    for (const victim of ["front-1", "stock-1", "orders-1"]) {
      const killed = cluster.node(victim).kill("SIGKILL");
      for (let round = 0; round < 20; round++) await read();
      await killed;
    }
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(statuses).toHaveLength(240);
  });
});
