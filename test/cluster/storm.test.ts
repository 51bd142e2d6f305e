import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, it } from "@jest/globals";
import { molecart } from "../helpers/cli.ts";
import { eventually, givenProduct, givenUser, type TestUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";
import { ADMIN } from "../helpers/env.ts";
import { settled } from "../helpers/invariants.ts";
import { startLoad } from "../helpers/load.ts";

/**
 * Everything at once: 500 checkouts by 32 buyers, while a node of orders, inventory and payments is killed with -9 and
 * started again, NATS is restarted and Redis is gone for 10 s. `STORMS=5` has five of them in a row.
 */

const LAYOUT = {
  "gateway-1": "gateway",
  "gateway-2": "gateway",
  front: "auth,users,cart",
  "stock-1": "products,inventory",
  "stock-2": "products,inventory",
  "orders-1": "orders",
  "orders-2": "orders",
  "payments-1": "payments",
  "payments-2": "payments",
  back: "notifications,analytics",
};
const STORMS = Number(process.env.STORMS ?? 1);
const ORDERS = 500;
const BUYERS = 32;
/** Each order takes one of two products: there is not enough for all. */
const PRODUCTS = 5;
const STOCK = 130;
/** s after the last fault within which every order has ended. */
const FINAL_WITHIN = 60;

describeCluster("a storm of checkouts", LAYOUT, { servers: ["redis", "mongo"] }, (cluster) => {
  let buyers: TestUser[];

  beforeAll(async () => {
    buyers = await Promise.all(Array.from({ length: BUYERS }, () => givenUser(cluster)));
  }, 120_000);

  const log = new ClientLog(() => [cluster.node("gateway-1"), cluster.node("gateway-2")]);

  it.each(Array.from({ length: STORMS }, (_, i) => i + 1))(
    "storm %i",
    async (storm) => {
      const products: number[] = [];
      for (let i = 0; i < PRODUCTS; i++)
        products.push(await givenProduct(cluster, cluster.admin, { price: 10, stock_quantity: STOCK }));
      const own = log.since();
      const began = performance.now();
      const load = startLoad(log, { buyers, products, orders: ORDERS, pause: 0, patience: 120_000 });
      const reached = (share: number) =>
        eventually(async () => own().entries.length >= ORDERS * share, 120_000);

      // Where in the storm each fault happened: all of them have to meet orders under way.
      const met: number[] = [];
      const started: Promise<unknown>[] = [];
      const meet = () => met.push(own().entries.length);
      for (const [i, victim] of ["orders-1", "stock-1", "payments-1"].entries()) {
        await reached(0.1 + i * 0.15);
        meet();
        await cluster.node(victim).kill("SIGKILL");
        // The next fault doesn't wait for it: the orders don't, either.
        started.push(cluster.start(victim));
      }
      await reached(0.55);
      meet();
      await cluster.nats.stop();
      await cluster.nats.start();
      await reached(0.7);
      meet();
      await cluster.redis.stop();
      await delay(10_000);
      await cluster.redis.start();
      await Promise.all(started);
      const lastFault = performance.now();
      await load.done;
      await settled(cluster);
      const final = (performance.now() - lastFault) / 1000;
      const took = (performance.now() - began) / 1000;

      const verify = await molecart(["verify", "--url", cluster.url], {
        ADMIN_EMAIL: ADMIN.email,
        ADMIN_PASSWORD: ADMIN.password,
      });
      tell(
        `storm ${storm}`,
        own(),
        `faults at orders ${met.join(", ")}`,
        `${took.toFixed(1)} s in all`,
        `every order final ${final.toFixed(1)} s after the last fault`,
        `verify ${verify.stdout.trim().split("\n").at(-1)}`,
      );
      expect(own().entries).toHaveLength(ORDERS);
      expect(met.filter((orders) => orders >= ORDERS - BUYERS)).toEqual([]);
      expect(own().count("acknowledged")).toBeGreaterThan(ORDERS / 2);
      // The last units were wanted by more than could have them.
      expect(own().entries.some(({ said }) => said.includes("409 INSUFFICIENT_STOCK"))).toBe(true);
      expect(final).toBeLessThan(FINAL_WITHIN);
      await cluster.expectSound(log);
      expect([verify.code, verify.stderr]).toEqual([0, ""]);
    },
    240_000,
  );
});
