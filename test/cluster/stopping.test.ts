import { once } from "node:events";
import { connect } from "node:net";
import { expect, it } from "@jest/globals";
import { type Answer, eventually, givenProduct, givenUser, send } from "../helpers/client.ts";
import { tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";

/** The order in which a node with everything to lose goes down: clients inside it, calls from other nodes, jobs, stores. */

const LAYOUT = {
  gateway: "gateway",
  front: "auth,cart",
  back: "notifications,analytics",
  // The only one that uses Postgres: whatever is connected there is this node.
  worker: "gateway,users,products,inventory,orders,payments",
};
/** ms that a door stays open for those who haven't heard yet. */
const FAREWELL = 250;

/** What is to be seen of the node from outside, at one moment after SIGTERM. */
interface Look {
  /** ms after SIGTERM at which the look was over */
  at: number;
  /** What its probe says; undefined: nothing. */
  probe: string[] | undefined;
  /** Its gateway takes connections. */
  isOpen: boolean;
  /** The other nodes would send it calls. */
  isKnown: boolean;
  /** Its connections to Postgres. */
  connections: number;
}

describeCluster("a node that is asked to stop", LAYOUT, { servers: ["redis"] }, (cluster) => {
  it("is unready first, lets nobody new in, ends what is inside, stops its services, and closes its stores last", async () => {
    const worker = cluster.node("worker");
    const user = await givenUser(cluster);
    const product_id = await givenProduct(cluster, cluster.admin, { stock_quantity: 10 });
    await eventually(async () => (await jobs("events-%")).length === 0);
    // A job under way: its subscriber doesn't answer until it is woken.
    const { process: back } = cluster.node("back");
    back.kill("SIGSTOP");
    const body = { shipping_address: "12 Analytical Row", items: [{ product_id, quantity: 1 }] };
    const order = async (shop: { url: string }) => {
      const options = { token: user.token, headers: { "Idempotency-Key": shop.url } };
      return await send(shop, "POST", "/api/orders", { ...body, payment_method: "pm_sandbox_slow" }, options);
    };
    expect((await send(cluster, "POST", "/api/orders", body, user)).status).toBe(201);
    const job = await eventually(async () => (await jobs("events-notifications", "active"))[0]);

    let asked = Number.POSITIVE_INFINITY;
    const timed = async (answer: Promise<Answer>) => {
      const { status } = await answer;
      return { status, at: performance.now() - asked };
    };
    // The slow provider takes 3 s: one order comes in by the node's own gateway, one by another node's.
    const orders = [timed(order(worker)), timed(order(cluster))];
    await eventually(async () => {
      const rows = await cluster.sql("SELECT FROM payments.payments WHERE status = 'processing'");
      return rows.length === 2;
    });

    asked = performance.now();
    worker.process.kill("SIGTERM");
    const looks: Look[] = [];
    while (worker.process.exitCode === null && worker.process.signalCode === null) {
      // The probe before the connections: while those are there it has to answer.
      const probe = await cluster.failing("worker", 1_000);
      // Not asked of Postgres, which notices a moment later that somebody has gone.
      const connections = cluster.postgres.connections();
      const [isOpen, isKnown] = await Promise.all([takesClients(worker.url), known()]);
      looks.push({ at: performance.now() - asked, probe, isOpen, isKnown, connections });
      if (!isOpen) back.kill("SIGCONT");
    }
    const [own, others] = await Promise.all(orders);
    const first = (what: (look: Look) => boolean) => looks.find(what)?.at ?? Number.POSITIVE_INFINITY;
    const unready = first(({ probe }) => probe?.includes("stopping") ?? false);
    const closed = first(({ isOpen }) => !isOpen);
    const left = first(({ isKnown }) => !isKnown);
    const disconnected = first(({ connections }) => connections === 0);
    const s = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
    tell(
      "SIGTERM to a node with two orders, a call and a job under way",
      `unready after ${s(unready)}, closed ${s(closed)}, orders told ${own?.status} ${s(own?.at ?? 0)}, ${others?.status} ${s(others?.at ?? 0)}`,
      `left ${s(left)}, stores closed ${s(disconnected)}`,
    );

    expect([own?.status, others?.status]).toEqual([201, 201]);
    expect(await worker.exited).toBe(0);
    // Unready while its door is still open, for as long as was promised; what came in is answered behind the closed door.
    expect(looks.some(({ probe, isOpen }) => probe?.includes("stopping") && isOpen)).toBe(true);
    expect(closed).toBeGreaterThanOrEqual(FAREWELL);
    expect(closed).toBeLessThan(own?.at ?? 0);
    // It leaves the cluster when nobody is inside any more, and has its stores until then, and its probe as long as them.
    expect(own?.at).toBeLessThan(left);
    expect(looks.filter(({ isKnown, connections }) => isKnown && connections === 0)).toEqual([]);
    const silent = ({ probe, connections }: Look) => connections > 0 && !probe?.includes("stopping");
    expect(looks.filter((look) => look.at > unready && silent(look))).toEqual([]);
    // The job under way was ended, no further one begun and left: what waits is for the next start.
    expect(await jobs("%", "active")).toEqual([]);
    expect(await jobs("events-notifications")).not.toContain(job);
  }, 60_000);

  const known = async () => {
    const { at } = await send(cluster, "GET", "/health");
    return Number(at("services", "orders", "instances") ?? 0) > 0;
  };
  /** The ids of the jobs of these queues, in whatever state or in this one. */
  const jobs = async (queue: string, state = "%") => {
    const rows = await cluster.sql<{ id: string }>(
      "SELECT id FROM pgboss.job WHERE name LIKE $1 AND state::text LIKE $2",
      [queue, state],
    );
    return rows.map(({ id }) => id);
  };
});

async function takesClients(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
