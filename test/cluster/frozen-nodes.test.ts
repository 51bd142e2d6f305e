import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { adminToken, eventually, givenProduct, givenUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import { type Cluster, startCluster } from "../helpers/cluster.ts";
import { broken, settled } from "../helpers/invariants.ts";
import { haveServers } from "../helpers/servers.ts";

/**
 * A worker that is stopped (SIGSTOP) past its lease, as by a virtual machine's pause, and wakes up when others have ended
 * its work: what it then writes must be void.
 */

const LAYOUT = {
  gateway: "gateway",
  front: "auth,users,cart,products,inventory",
  "orders-1": "orders",
  "orders-2": "orders",
  "payments-1": "payments",
  "payments-2": "payments,notifications,analytics",
};

/** Where the worker stops, with what it is about to do when it wakes. */
const POINTS: [node: string, point: string, method: string, status: string][] = [
  ["orders-1", "checkout.reserve.before", "pm_card_visa", "confirmed"],
  ["orders-1", "checkout.charge.before", "pm_card_visa", "confirmed"],
  ["orders-1", "checkout.confirm.before", "pm_card_visa", "confirmed"],
  ["orders-1", "checkout.commit.after", "pm_card_visa", "confirmed"],
  ["orders-1", "checkout.charge.undo.before", "pm_card_chargeDeclined", "cancelled"],
  ["payments-1", "payments.charge.before", "pm_card_visa", "confirmed"],
  ["payments-1", "payments.charge.after", "pm_card_visa", "confirmed"],
];

(haveServers("nats") ? describe : describe.skip)("a worker frozen past its lease", () => {
  let cluster: Cluster;
  let admin: string;

  beforeAll(async () => {
    cluster = await startCluster(LAYOUT);
    admin = await adminToken(cluster);
  }, 120_000);
  afterAll(async () => await cluster?.stop(), 60_000);

  it.each(POINTS)(
    "%s at %s: others end the order, and it writes nothing when it wakes",
    async (name, point, method, status) => {
      const product_id = await givenProduct(cluster, admin, { price: 10, stock_quantity: 50 });
      const user = await givenUser(cluster);
      const log = new ClientLog(() => [cluster]);
      const frozen = await cluster.start(name, { FREEZE_AT: point });
      const buyers = [];
      for (let i = 0; i < 4; i++)
        buyers.push(
          log.order(user, [{ product_id, quantity: 1 }], { payment_method: method, patience: 60_000 }),
        );
      await Promise.all(buyers);
      const seconds = await settled(cluster);
      const before = await ordersOf(product_id);
      expect(before.map((order) => order.status)).toEqual(Array(4).fill(status));
      // Nobody waited for it: it sleeps to this moment.
      expect(frozen.process.exitCode).toBeNull();
      expect(await cluster.failing(name, 500)).toBeUndefined();

      frozen.process.kill("SIGCONT");
      await eventually(async () => (await cluster.failing(name))?.length === 0, 20_000);
      await settled(cluster);
      expect(await ordersOf(product_id)).toEqual(before);
      expect(await broken(cluster, log, admin)).toEqual([]);
      tell(`frozen: ${name} at ${point}`, log, `settled ${seconds.toFixed(1)} s after the answers`);
    },
  );

  /** The orders with a product, with all that was written of them: one history row more would show. */
  const ordersOf = async (product: number) =>
    await cluster.sql<{ status: string }>(
      `SELECT o.id, o.status, o.updated_at, s.state, s.fence, s.owner,
         (SELECT string_agg(to_status, ' ' ORDER BY h.id) FROM orders.history h WHERE h.order_id = o.id) AS history,
         (SELECT count(*)::int FROM payments.sandbox_charges c WHERE c.order_id = o.id) AS charges
       FROM orders.orders o JOIN orders.items i ON i.order_id = o.id JOIN orders.sagas s ON s.order_id = o.id
       WHERE i.product_id = $1 ORDER BY o.id`,
      [product],
    );
});
