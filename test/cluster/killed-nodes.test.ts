import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { adminToken, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { ClientLog, type OrderEntry, tell } from "../helpers/client-log.ts";
import { type Cluster, startCluster } from "../helpers/cluster.ts";
import { broken, settled } from "../helpers/invariants.ts";
import { haveServers } from "../helpers/servers.ts";

/** Nodes that are killed with -9 in the middle of their work: others finish it, within the time that was promised. */

const LAYOUT = {
  gateway: "gateway",
  "front-1": "auth,users,cart",
  "front-2": "auth,users,cart",
  "stock-1": "products,inventory",
  "stock-2": "products,inventory",
  "orders-1": "orders",
  "orders-2": "orders",
  "payments-1": "payments",
  "payments-2": "payments,notifications,analytics",
};
/** s within which an order whose node died has ended. */
const PROMISED = 15;
/** ms within which whoever asked a node that died learns of it: not after the heartbeats. */
const SOON = 3_000;

const VISA = "pm_card_visa";
const DECLINED = "pm_card_chargeDeclined";

/** Between any two steps of a checkout, forward and back. */
const CHECKOUT_POINTS: [point: string, method: string][] = [
  ...["reserve", "await payment", "charge", "confirm", "commit"].flatMap((step): [string, string][] => [
    [`checkout.${step}.before`, VISA],
    [`checkout.${step}.after`, VISA],
  ]),
  ...["charge", "reserve"].flatMap((step): [string, string][] => [
    [`checkout.${step}.undo.before`, DECLINED],
    [`checkout.${step}.undo.after`, DECLINED],
  ]),
];
/** Participants that have done what they were asked to, and die before they say so; and payments before its provider is asked. */
const PARTICIPANT_POINTS: [node: string, point: string, method: string][] = [
  ["stock-1", "inventory.reserve.after", VISA],
  ["stock-1", "inventory.commit.after", VISA],
  ["stock-1", "inventory.release.after", DECLINED],
  ["payments-1", "payments.charge.before", VISA],
  ["payments-1", "payments.charge.after", VISA],
];
const CLOSING_POINTS: [node: string, point: string][] = [
  ["orders-1", "closing.refund.before"],
  ["orders-1", "closing.refund.after"],
  ["orders-1", "closing.give back.before"],
  ["orders-1", "closing.give back.after"],
  ["payments-1", "payments.refund.after"],
  ["stock-1", "inventory.giveBack.after"],
];

(haveServers("nats") ? describe : describe.skip)("a cluster whose nodes are killed", () => {
  let cluster: Cluster;
  let user: TestUser;
  let admin: string;

  beforeAll(async () => {
    cluster = await startCluster(LAYOUT);
    admin = await adminToken(cluster);
  }, 120_000);
  afterAll(async () => await cluster?.stop(), 60_000);

  /** Starts a node so that it dies at `point`, and acts until it does. @returns when it was gone */
  async function killAt(name: string, point: string, act: () => Promise<void>): Promise<Date> {
    const victim = await cluster.start(name, { CRASH_AT: point });
    // Calls are spread in turn: one of the first few meets it.
    for (let times = 0; victim.process.signalCode === null && times < 6; times++) await act();
    expect([point, victim.process.signalCode]).toEqual([point, "SIGKILL"]);
    return new Date();
  }

  /** When the saga of an order ended. */
  async function endOf(entry: OrderEntry, kind: "checkout" | "closing"): Promise<Date | undefined> {
    const [row] = await cluster.sql<{ ended: Date }>(
      `SELECT s.updated_at AS ended FROM orders.sagas s JOIN orders.checkout_keys k USING (order_id)
       WHERE k.user_id = $1 AND k.key = $2 AND s.kind = $3 AND s.state IN ('done', 'undone')`,
      [entry.user.id, entry.key, kind],
    );
    return row?.ended;
  }

  interface Death {
    point: string;
    at: Date;
    entries: OrderEntry[];
  }

  /** Each order ended in time, whatever its client did; the stores are sound; whoever asks again learns of the one order. */
  async function expectFinished(deaths: Death[], log: ClientLog, kind: "checkout" | "closing") {
    await settled(cluster, 30_000);
    const late: string[] = [];
    for (const { point, at, entries } of deaths) {
      const ends = await Promise.all(entries.map((entry) => endOf(entry, kind)));
      const seconds = ends.map((end) =>
        end ? (end.getTime() - at.getTime()) / 1000 : Number.POSITIVE_INFINITY,
      );
      const last = Math.max(...seconds);
      if (last > PROMISED) late.push(`${point}: ${last} s`);
      const said = entries.flatMap((entry) => entry.said).join(", ");
      tell(`kill -9 at ${point}`, `told ${said}`, `all ended ${Math.max(0, last).toFixed(1)} s after it`);
    }
    expect(late).toEqual([]);
    for (const { key, outcome, items } of [...log.entries]) {
      if (outcome === "unknown") await log.order(user, items, { key, payment_method: methodOf(key) });
    }
    expect(await broken(cluster, log, admin)).toEqual([]);
    expect(log.count("unknown")).toBe(0);
  }

  // The key says how it was paid, so that the very same request can be sent again.
  const methodOf = (key: string) => (key.startsWith("declined") ? DECLINED : VISA);

  async function killCheckouts(points: readonly [node: string, point: string, method: string][]) {
    const product_id = await givenProduct(cluster, admin, { price: 10, stock_quantity: 1_000 });
    const log = new ClientLog(() => [cluster]);
    user = await givenUser(cluster);
    const deaths: Death[] = [];
    for (const [name, point, payment_method] of points) {
      const entries: OrderEntry[] = [];
      const at = await killAt(name, point, async () => {
        const kind = payment_method === DECLINED ? "declined" : "paid";
        const key = `${kind}-${point.replaceAll(" ", "-")}-${entries.length}`;
        const entry = await log.order(user, [{ product_id, quantity: 1 }], { key, payment_method });
        entries.push(entry);
      });
      deaths.push({ point, at, entries });
    }
    // The last victim's service is whole again.
    await Promise.all([...new Set(points.map(([name]) => name))].map((name) => cluster.start(name)));
    await expectFinished(deaths, log, "checkout");
    return log;
  }

  it("orders between any two steps: another node ends each order within 15 s, charged and sold once", async () => {
    const log = await killCheckouts(CHECKOUT_POINTS.map(([point, method]) => ["orders-1", point, method]));
    expect(Math.max(...log.entries.map(({ took }) => took))).toBeLessThan(SOON);
    tell("kill -9 of an orders node between any two steps", log);
  }, 180_000);

  it("inventory and payments after they did it and before they said so", async () => {
    const log = await killCheckouts(PARTICIPANT_POINTS);
    tell("kill -9 of inventory after its commit, of payments around the capture", log);
  }, 120_000);

  it("orders, payments and inventory while a cancelled order's money and goods go back", async () => {
    const product_id = await givenProduct(cluster, admin, { price: 10, stock_quantity: 100 });
    const log = new ClientLog(() => [cluster]);
    user = await givenUser(cluster);
    const deaths: Death[] = [];
    const told: number[] = [];
    for (const [name, point] of CLOSING_POINTS) {
      const entries: OrderEntry[] = [];
      const at = await killAt(name, point, async () => {
        const entry = await log.order(user, [{ product_id, quantity: 1 }], { patience: 10_000 });
        entries.push(entry);
        const [id] = entry.orders;
        const answer = await send(cluster, "POST", `/api/orders/${id}/cancel`, {}, { token: user.token });
        told.push(answer.status);
        entry.status = "cancelled";
      });
      deaths.push({ point, at, entries });
    }
    await Promise.all(["orders-1", "payments-1", "stock-1"].map((name) => cluster.start(name)));
    await expectFinished(deaths, log, "closing");
    tell("kill -9 while orders are cancelled", log, `cancellations told ${told.join(", ")}`);
  }, 120_000);

  it("fails no read while a node of each kind is killed", async () => {
    const product = await givenProduct(cluster, admin);
    const log = new ClientLog(() => [cluster]);
    user = await givenUser(cluster);
    const read = () =>
      Promise.all([
        log.ask("GET", `/api/products/${product}`),
        log.ask("GET", "/api/products?limit=3&sort=newest"),
        log.ask("GET", "/api/orders", user),
        log.ask("GET", "/api/users/profile", user),
      ]);
    for (const victim of ["front-1", "stock-1", "orders-1"]) {
      const killed = cluster.node(victim).kill("SIGKILL");
      for (let round = 0; round < 20; round++) await read();
      await killed;
    }
    tell("kill -9 of one node of each kind, read from", log);
    expect(log.failed("200")).toEqual([]);
    expect(log.requests).toHaveLength(240);
  });
});
