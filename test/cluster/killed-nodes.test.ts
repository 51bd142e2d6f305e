import { expect, it } from "@jest/globals";
import { eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";
import { settled } from "../helpers/invariants.ts";
import type { NodeProcess } from "../helpers/node-process.ts";

/** Nodes that are killed with -9 in the middle of their work: others finish it, within the time that was promised. */

const LAYOUT = {
  gateway: "gateway",
  "front-1": "auth,users,cart",
  "front-2": "auth,users,cart",
  "stock-1": "products,inventory",
  "orders-1": "orders",
  "payments-1": "payments,notifications,analytics",
};
/** s within which an order whose node died has ended. */
const PROMISED = 15;
/** ms within which whoever asked a node that died learns of it: not after the heartbeats. */
const SOON = 3_000;

/** A node that kills itself when it gets to this point. */
interface Victim {
  services: string;
  point: string;
}
const victims = (services: string, ...points: string[]): Victim[] =>
  points.map((point) => ({ services, point }));

/** Between any two steps of a checkout, forward and back; those of one wave are alive at the same time. */
const CHECKOUT: Victim[][] = [
  ["reserve", "await payment"],
  ["charge", "confirm"],
  ["commit", "charge.undo", "reserve.undo"],
].map((steps) =>
  victims("orders", ...steps.flatMap((step) => [`checkout.${step}.before`, `checkout.${step}.after`])),
);
/** Participants that have done what they were asked to and die before they say so, and payments before it asks its provider. */
const PARTICIPANTS = [
  ...victims(
    "products,inventory",
    "inventory.reserve.after",
    "inventory.commit.after",
    "inventory.release.after",
  ),
  ...victims("payments", "payments.charge.before", "payments.charge.after"),
];
const CLOSING = [
  ...victims(
    "orders",
    "closing.refund.before",
    "closing.refund.after",
    "closing.give back.before",
    "closing.give back.after",
  ),
  ...victims("payments", "payments.refund.after"),
  ...victims("products,inventory", "inventory.giveBack.after"),
];

describeCluster("a cluster whose nodes are killed", LAYOUT, {}, (cluster) => {
  let user: TestUser;
  let product_id: number;
  let log: ClientLog;

  const reset = async () => {
    user = await givenUser(cluster);
    product_id = await givenProduct(cluster, cluster.admin, { price: 10, stock_quantity: 1_000 });
    log = new ClientLog(() => [cluster]);
  };

  interface Death {
    name: string;
    point: string;
    at: Date;
    /** The sagas that it drove. */
    sagas: string[];
  }

  async function deathOf(name: string, point: string, node: NodeProcess): Promise<Death> {
    await node.exited;
    expect([point, node.process.signalCode]).toEqual([point, "SIGKILL"]);
    const at = new Date();
    const sagas = await cluster.sql<{ id: string }>(
      "SELECT id FROM orders.sagas WHERE owner = $1 AND state IN ('running', 'compensating')",
      [name],
    );
    return { name, point, at, sagas: sagas.map(({ id }) => id) };
  }

  /** Starts the victims beside the other nodes, and acts until each has met its point: calls are spread in turn. */
  async function kill(wave: readonly Victim[], act: () => Promise<void>): Promise<Death[]> {
    const nodes = await Promise.all(
      wave.map(async ({ services, point }, i) => {
        const name = `victim-${i}`;
        const node = await cluster.start(name, { SERVICES: services, CRASH_AT: point });
        return { node, death: deathOf(name, point, node) };
      }),
    );
    const alive = () => nodes.filter(({ node }) => node.process.signalCode === null).length;
    for (let times = 0; alive() > 0 && times < 60; times++) await act();
    expect(wave.filter((_, i) => nodes[i]?.node.process.signalCode === null)).toEqual([]);
    return await Promise.all(nodes.map(({ death }) => death));
  }

  /** Each order ended in time without its client's help, and nothing is broken. */
  async function expectFinished(deaths: readonly Death[]): Promise<void> {
    await settled(cluster);
    for (const { point, at, sagas } of deaths) {
      const ends = await cluster.sql<{ ended: Date }>(
        "SELECT updated_at AS ended FROM orders.sagas WHERE id = ANY($1) AND state IN ('done', 'undone')",
        [sagas],
      );
      const seconds = ends.map(({ ended }) => (ended.getTime() - at.getTime()) / 1000);
      tell(
        `kill -9 at ${point}`,
        seconds.length === 0
          ? "whoever asked it went on"
          : `ended ${seconds.map((s) => s.toFixed(1))} s later`,
      );
      expect([point, ends.length, Math.max(0, ...seconds) < PROMISED]).toEqual([point, sagas.length, true]);
    }
  }

  /** Asks again for what had no answer: there is one, of the one order. */
  async function expectAnswers(methodOf: (key: string) => string): Promise<void> {
    for (const { key, outcome, items } of [...log.entries]) {
      if (outcome === "unknown") await log.order(user, items, { key, payment_method: methodOf(key) });
    }
    expect(log.count("unknown")).toBe(0);
    await cluster.expectSound(log);
  }

  const methodOf = (key: string) => (key.endsWith("declined") ? "pm_card_chargeDeclined" : "pm_card_visa");
  const buy = async (kind: "paid" | "declined") => {
    const key = `${log.entries.length}-${kind}`;
    return await log.order(user, [{ product_id, quantity: 1 }], { key, payment_method: methodOf(key) });
  };
  /** Both in turn would send one kind to the same of two nodes for ever: this sequence (Thue and Morse's) has no period. */
  const buyEither = async () => {
    const ones = log.entries.length.toString(2).replaceAll("0", "").length;
    await buy(ones % 2 === 0 ? "paid" : "declined");
  };

  it("orders between any two steps: another node ends each order within 15 s, charged and sold once", async () => {
    await reset();
    for (const wave of CHECKOUT) {
      const deaths = await kill(wave, buyEither);
      await expectFinished(deaths);
      // Each died with one order in its hands.
      expect(deaths.map(({ sagas }) => sagas.length)).toEqual(wave.map(() => 1));
    }
    tell("kill -9 of an orders node between any two steps", log);
    expect(Math.max(...log.entries.map(({ took }) => took))).toBeLessThan(SOON);
    await expectAnswers(methodOf);
  }, 180_000);

  it("inventory after its commit and payments around the capture, before they said so", async () => {
    await reset();
    await expectFinished(await kill(PARTICIPANTS, buyEither));
    tell("kill -9 of inventory after its commit, of payments around the capture", log);
    await expectAnswers(methodOf);
  }, 120_000);

  it("orders, payments and inventory while a cancelled order's money and goods go back", async () => {
    await reset();
    const told: number[] = [];
    const deaths = await kill(CLOSING, async () => {
      const entry = await buy("paid");
      const [id] = entry.orders;
      const answer = await send(cluster, "POST", `/api/orders/${id}/cancel`, {}, { token: user.token });
      told.push(answer.status);
      entry.status = "cancelled";
    });
    await expectFinished(deaths);
    tell("kill -9 while orders are cancelled", log, `cancellations told ${told.join(", ")}`);
    await expectAnswers(methodOf);
  }, 120_000);

  it("fails no read while a node of each kind is killed", async () => {
    await reset();
    await Promise.all([
      cluster.start("stock-2", { SERVICES: "products,inventory" }),
      cluster.start("orders-2", { SERVICES: "orders" }),
    ]);
    await eventually(async () => (await send(cluster, "GET", "/health")).body.status === "healthy");
    for (const victim of ["front-1", "stock-1", "orders-1"]) {
      const killed = cluster.node(victim).kill("SIGKILL");
      for (let round = 0; round < 20; round++) {
        await Promise.all([
          log.ask("GET", `/api/products/${product_id}`),
          log.ask("GET", "/api/products?limit=3&sort=newest"),
          log.ask("GET", "/api/orders", user),
          log.ask("GET", "/api/users/profile", user),
        ]);
      }
      await killed;
    }
    tell("kill -9 of one node of each kind, read from", log);
    expect(log.failed("200")).toEqual([]);
    expect(log.requests).toHaveLength(240);
    await Promise.all([cluster.start("stock-1"), cluster.start("orders-1")]);
  });
});
