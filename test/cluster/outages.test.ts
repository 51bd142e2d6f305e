import { setTimeout as delay } from "node:timers/promises";
import { beforeEach, expect, it } from "@jest/globals";
import { eventually, givenProduct, givenUser, type TestUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import type { ClusterOptions } from "../helpers/cluster.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";
import { settled } from "../helpers/invariants.ts";
import { startLoad } from "../helpers/load.ts";

/** Servers that go away, freeze, are slow, or whose connections break, while customers buy. */

const LAYOUT = {
  gateway: "gateway",
  front: "auth,users,cart",
  stock: "products,inventory",
  "orders-1": "orders,payments",
  "orders-2": "orders,payments",
  back: "notifications,analytics",
};
const BUYERS = 6;
/** ms that one statement may take here, so that a connection that was lost is given up after 7 s. */
const DATABASE_TIMEOUT = 2_000;
const WIRES = ["postgres", "nats", "redis", "mongo"] as const;
/**
 * Values in the statements that a checkout commits, each of them a transaction by itself: the order with its saga's
 * job, the capture, the confirmation.
 */
const COMMITS = ["orders-saga", "ch_", "order.confirmed"];

const OPTIONS: ClusterOptions = {
  servers: ["redis", "mongo"],
  wired: true,
  env: { DATABASE_TIMEOUT: String(DATABASE_TIMEOUT) },
};

describeCluster("a shop whose servers fail", LAYOUT, OPTIONS, (cluster) => {
  let buyers: TestUser[];
  let log: ClientLog;
  let products: number[];

  beforeEach(async () => {
    log = new ClientLog(() => [cluster]);
    buyers = await Promise.all(Array.from({ length: BUYERS }, () => givenUser(cluster)));
    products = [];
    for (let i = 0; i < 4; i++)
      products.push(await givenProduct(cluster, cluster.admin, { price: 10, stock_quantity: 100_000 }));
  });

  const pids = () => cluster.names.map((name) => cluster.node(name).process.pid);
  const wire = (kind: (typeof WIRES)[number]) =>
    kind === "postgres" ? cluster.postgres : cluster.wire(kind);
  const unready = async () => {
    const all = await Promise.all(
      cluster.names.map(async (name) => [name, await cluster.failing(name)] as const),
    );
    return new Map(all.filter(([, failing]) => failing?.length !== 0));
  };
  const placed = (count: number) => eventually(async () => log.count("acknowledged") >= count, 60_000);

  /** Has customers buy while `fault` happens, and looks at what is left of it: same processes, all ready, nothing broken. */
  async function suffer(name: string, fault: () => Promise<void>): Promise<void> {
    const before = pids();
    const load = startLoad(log, { buyers, products, reads: true });
    try {
      await placed(BUYERS);
      await fault();
      const good = log.count("acknowledged");
      const started = performance.now();
      await placed(good + BUYERS);
      const sold = (performance.now() - started) / 1000;
      await load.stop();
      const ended = await settled(cluster);
      await eventually(async () => (await unready()).size === 0, 20_000);
      tell(
        name,
        log,
        `sells again ${sold.toFixed(1)} s after it`,
        `all ended ${ended.toFixed(1)} s after the last answer`,
      );
    } finally {
      await load.stop();
    }
    await cluster.expectSound(log);
    expect(pids()).toEqual(before);
  }

  /** Waits for what each of these nodes says it lacks, and that it is alive all the same. */
  async function expectLacking(nodes: string[], lack: RegExp): Promise<void> {
    await eventually(async () => {
      const failing = await unready();
      return nodes.every((name) => failing.get(name)?.some((one) => lack.test(one)));
    }, 20_000);
    for (const name of nodes) expect((await fetch(`${cluster.probe(name)}/health/live`)).status).toBe(200);
  }

  it("NATS restarted in a storm of checkouts", async () => {
    await suffer("NATS restarted in a storm of checkouts", async () => {
      for (let times = 0; times < 2; times++) {
        await cluster.nats.stop();
        await cluster.nats.start();
        await placed(log.count("acknowledged") + BUYERS);
      }
    });
  }, 120_000);

  it("NATS gone for a minute", async () => {
    await suffer("NATS gone for a minute", async () => {
      await cluster.nats.stop();
      await expectLacking(Object.keys(LAYOUT), /node: nats/);
      await delay(60_000);
      await cluster.nats.start();
    });
  }, 180_000);

  it("Redis gone for 5 s", async () => {
    await suffer("Redis gone for 5 s", async () => {
      await cluster.redis.stop();
      await expectLacking(["front"], /key-value/);
      await delay(5_000);
      await cluster.redis.start();
    });
  }, 120_000);

  it("Redis frozen for 5 s", async () => {
    await suffer("Redis frozen for 5 s", async () => {
      cluster.redis.process().kill("SIGSTOP");
      await expectLacking(["front"], /key-value/);
      await delay(5_000);
      cluster.redis.process().kill("SIGCONT");
    });
  }, 120_000);

  it("Postgres gone for 20 s", async () => {
    await suffer("Postgres gone for 20 s", async () => {
      await cluster.postgres.cut();
      await expectLacking(["front", "stock", "orders-1", "orders-2"], /database/);
      await delay(20_000);
      await cluster.postgres.restore();
    });
  }, 120_000);

  it("Postgres dying during commits", async () => {
    await suffer("Postgres dying during commits", async () => {
      for (let times = 0; times < 2; times++) {
        // One of its processes is killed: it ends all others, recovers from its log, and takes connections again.
        const [row] = await cluster.sql<{ pid: number }>("SELECT pg_backend_pid() AS pid");
        process.kill(row?.pid ?? 0, "SIGKILL");
        await placed(log.count("acknowledged") + BUYERS);
      }
    });
  }, 120_000);

  it("answers of Postgres lost at the commit", async () => {
    await suffer("answers of Postgres lost at the commit", async () => {
      for (let times = 0; times < 4; times++)
        for (const value of COMMITS) await cluster.postgres.cutAt(value);
    });
  }, 120_000);

  it("connections to Postgres that were lost and nobody was told", async () => {
    await suffer("connections to Postgres lost without a word", async () => {
      cluster.postgres.lose();
      await delay(DATABASE_TIMEOUT);
    });
  }, 120_000);

  it.each(WIRES)(
    "a slow connection to %s",
    async (kind) => {
      await suffer(`a slow connection to ${kind} (60 ms each way)`, async () => {
        wire(kind).slow(60);
        await placed(log.count("acknowledged") + 2 * BUYERS);
        await wire(kind).restore();
      });
    },
    120_000,
  );

  it.each(WIRES)(
    "connections to %s cut again and again",
    async (kind) => {
      await suffer(`connections to ${kind} cut eight times`, async () => {
        for (let times = 0; times < 8; times++) {
          wire(kind).reset();
          await delay(300);
        }
      });
    },
    120_000,
  );
});
