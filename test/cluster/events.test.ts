import { beforeAll, expect, it } from "@jest/globals";
import { eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";
import { settled } from "../helpers/invariants.ts";

/** A subscriber that is away, for a while and for too long: what it missed is brought to it, once in effect. */

const LAYOUT = {
  gateway: "gateway",
  front: "auth,users,cart,products,inventory",
  "orders-1": "orders,payments",
  "orders-2": "orders,payments",
  back: "notifications,analytics",
};
const ORDERS = 6;
/** Its registration for notifications; each order's confirmation for notifications and analytics. */
const MISSED = 1 + 2 * ORDERS;

describeCluster("a subscriber of durable events that is away", LAYOUT, { servers: ["mongo"] }, (cluster) => {
  let user: TestUser;
  let product_id: number;
  let log: ClientLog;

  beforeAll(async () => {
    product_id = await givenProduct(cluster, cluster.admin, { price: 10, stock_quantity: 100 });
  }, 120_000);

  const ask = async (method: string, path: string, body?: object) => {
    const answer = await send(cluster, method, path, body, { token: cluster.admin });
    expect([path, answer.status]).toEqual([path, 200]);
    return answer;
  };
  const buy = async () => {
    user = await givenUser(cluster);
    log = new ClientLog(() => [cluster]);
    const orders = Array.from({ length: ORDERS }, () => log.order(user, [{ product_id, quantity: 1 }]));
    await Promise.all(orders);
    expect(log.count("acknowledged")).toBe(ORDERS);
  };
  const undelivered = async () => {
    const [row] = await cluster.sql<{ count: number }>(
      `SELECT count(*)::int FROM pgboss.job WHERE name IN ('events-notifications', 'events-analytics')
       AND state < 'completed' AND retry_count > 0`,
    );
    return row?.count ?? 0;
  };

  it("is told of every order that was made without it, once, soon after it is back", async () => {
    await cluster.node("back").kill("SIGKILL");
    await buy();
    await eventually(async () => (await undelivered()) === MISSED);
    await cluster.start("back");
    const back = performance.now();
    await settled(cluster);
    const seconds = ((performance.now() - back) / 1000).toFixed(1);
    tell("a subscriber away", log, `told of ${MISSED} events within ${seconds} s of its return`);
    await cluster.expectSound(log);
    const figures = await ask("GET", "/api/analytics/summary");
    expect(figures.body).toMatchObject({ orders: ORDERS, revenue: ORDERS * 10 });
  }, 120_000);

  it("leaves dead letters when it is away for too long, which verify shows and an admin has delivered", async () => {
    // An hour of tries, in no time: what is published from now on is given up after the second.
    await cluster.sql("UPDATE pgboss.queue SET retry_limit = 1 WHERE name LIKE 'events-%'");
    await cluster.node("back").kill("SIGKILL");
    await buy();
    await eventually(
      async () => (await ask("GET", "/api/admin/events?state=dead")).at("dead") === MISSED,
      30_000,
    );
    const report = JSON.stringify((await ask("GET", "/api/admin/verify")).body);

    await cluster.start("back");
    const redriven = await ask("POST", "/api/admin/events/redrive", { all: true });
    tell(
      "a subscriber away past the last try",
      log,
      `${MISSED} dead letters, ${redriven.body.redriven} redriven`,
    );
    expect(report.split("Dead letter: ")).toHaveLength(1 + MISSED);
    expect(redriven.body).toEqual({ redriven: MISSED, not_found: [], not_asked: [] });
    await cluster.expectSound(log);
  }, 120_000);
});
