import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "@jest/globals";
import { eventually, givenProduct, givenUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";
import { settled } from "../helpers/invariants.ts";

/**
 * Workers that are stopped (SIGSTOP) past their lease, as by a virtual machine's pause, and wake up when others have ended
 * their work: what they then write must be void.
 */

const LAYOUT = {
  gateway: "gateway",
  front: "auth,users,cart,products,inventory",
  "orders-1": "orders",
  "payments-1": "payments,notifications,analytics",
};

/** Where a worker stops, by its services, with what it is about to do when it wakes. */
const POINTS: [services: string, point: string][] = [
  ["orders", "checkout.reserve.before"],
  ["orders", "checkout.charge.before"],
  ["orders", "checkout.confirm.before"],
  ["orders", "checkout.commit.after"],
  ["orders", "checkout.charge.undo.before"],
  ["payments", "payments.charge.before"],
  ["payments", "payments.charge.after"],
];

describeCluster("workers frozen past their lease", LAYOUT, {}, (cluster) => {
  it("write nothing when they wake: others have ended their orders", async () => {
    const user = await givenUser(cluster);
    const product_id = await givenProduct(cluster, cluster.admin, { price: 10, stock_quantity: 500 });
    const log = new ClientLog(() => [cluster]);
    const workers = await Promise.all(
      POINTS.map(async ([services, point], i) => {
        const name = `frozen-${i}`;
        const node = await cluster.start(name, { SERVICES: services, FREEZE_AT: point });
        return { name, point, node };
      }),
    );
    const isFrozen = async (name: string) => (await cluster.failing(name, 300)) === undefined;
    const awake = async () => {
      const all = await Promise.all(
        workers.map(async (worker) => ((await isFrozen(worker.name)) ? [] : [worker.point])),
      );
      return all.flat();
    };

    const buyers: Promise<unknown>[] = [];
    for (let n = 0; (await awake()).length > 0 && n < 100; n++) {
      // No period, so that each kind comes to each node.
      const isDeclined = n.toString(2).replaceAll("0", "").length % 2 === 1;
      const payment_method = isDeclined ? "pm_card_chargeDeclined" : "pm_card_visa";
      buyers.push(log.order(user, [{ product_id, quantity: 1 }], { payment_method, patience: 60_000 }));
      await delay(50);
    }
    expect(await awake()).toEqual([]);
    await Promise.all(buyers);
    await settled(cluster);
    const before = await ordersOf(product_id);
    // Nobody waited for them: they sleep to this moment.
    for (const { name, node } of workers)
      expect([await isFrozen(name), node.process.exitCode]).toEqual([true, null]);
    const taken = before.filter(({ fence }) => Number(fence) > 1).length;
    expect(taken).toBeGreaterThan(0);

    for (const { node } of workers) node.process.kill("SIGCONT");
    await eventually(async () => {
      const all = await Promise.all(workers.map(({ name }) => cluster.failing(name)));
      return all.every((failing) => failing?.length === 0);
    }, 20_000);
    await settled(cluster);
    tell(
      `workers frozen past their lease at ${workers.map(({ point }) => point).join(", ")}`,
      log,
      `${taken} orders were taken over, nothing was written after`,
    );
    expect(log.count("unknown")).toBe(0);
    expect(await ordersOf(product_id)).toEqual(before);
    await cluster.expectSound(log);
  }, 120_000);

  /** The orders with a product, with all that was written of them: one history row more would show. */
  const ordersOf = async (product: number) =>
    await cluster.sql<{ fence: string }>(
      `SELECT o.id, o.status, o.updated_at, s.state, s.fence, s.owner,
         (SELECT string_agg(to_status, ' ' ORDER BY h.id) FROM orders.history h WHERE h.order_id = o.id) AS history,
         (SELECT count(*)::int FROM payments.sandbox_charges c WHERE c.order_id = o.id) AS charges
       FROM orders.orders o JOIN orders.items i ON i.order_id = o.id JOIN orders.sagas s ON s.order_id = o.id
       WHERE i.product_id = $1 ORDER BY o.id`,
      [product],
    );
});
