import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { startEmbeddedPostgres } from "../lib/stores/embedded-postgres.ts";
import { adminToken, eventually, send } from "../test/helpers/client.ts";
import { SECRETS } from "../test/helpers/env.ts";
import { freePort, type NodeProcess, startNode } from "../test/helpers/node-process.ts";
import { startServer, type TestServer } from "../test/helpers/servers.ts";

/** What a run stands on: one Postgres with its default durability for the shop and the floors alike. */
export interface Ground {
  /** A new, empty database. @returns its URL */
  database: (name: string) => Promise<string>;
  nats: () => Promise<TestServer>;
  redis: () => Promise<TestServer>;
  /** For files of a node of this name. */
  dataDir: (node: string) => string;
  close: () => Promise<void>;
}

export async function openGround(): Promise<Ground> {
  const directory = await mkdtemp(join(tmpdir(), "molecart-bench-"));
  const postgres = await startEmbeddedPostgres({ dataDir: directory, settings: { max_connections: "300" } });
  const servers: TestServer[] = [];
  const server = async (kind: "nats" | "redis") => {
    const started = await startServer(kind);
    servers.push(started);
    return started;
  };
  return {
    async database(name) {
      const client = new pg.Client({ connectionString: postgres.url });
      await client.connect();
      await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
      await client.end();
      const url = new URL(postgres.url);
      url.pathname = `/${name}`;
      return url.href;
    },
    nats: () => server("nats"),
    redis: () => server("redis"),
    dataDir: (node) => join(directory, node),
    async close() {
      await Promise.all(servers.map((one) => one.remove()));
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The default layout of `npm run cluster`. */
export const CLUSTER: Record<string, string> = {
  gateway: "gateway",
  accounts: "auth,users,cart",
  catalogue: "products,inventory",
  sales: "orders,payments",
  records: "notifications,analytics",
};

const OTHERS = "auth,users,products,inventory,cart,orders,payments,notifications,analytics".split(",");

/** The gateway in one process, a service in some, and the others in one more. */
export function withCopies(service: string, copies: number): Record<string, string> {
  return {
    gateway: "gateway",
    rest: OTHERS.filter((name) => name !== service).join(","),
    ...Object.fromEntries(Array.from({ length: copies }, (_, index) => [`${service}-${index + 1}`, service])),
  };
}

export interface RunningShop {
  url: string;
  /** Of its nodes, in the order of the layout. */
  pids: readonly number[];
  /** The cluster's NATS. */
  nats?: string;
  stop: () => Promise<void>;
}

/** The whole shop in one process, with the pool and the metrics that `npm start` has. */
export async function startEmbedded(ground: Ground): Promise<RunningShop> {
  const env = {
    DATABASE_URL: await ground.database("embedded"),
    DATABASE_POOL: "4",
    METRICS_PORT: String(await freePort()),
  };
  return await startNodes(ground, env, { shop: "" });
}

/** A shop of several processes over NATS. @param redis whether it has a Redis, for its cache and its sessions */
export async function startCluster(
  ground: Ground,
  name: string,
  layout: Record<string, string>,
  redis: boolean,
): Promise<RunningShop> {
  const [nats, database] = [await ground.nats(), await ground.database(name)];
  const env = {
    DATABASE_URL: database,
    NATS_URL: nats.url,
    ...(redis ? { REDIS_URL: (await ground.redis()).url } : {}),
  };
  return { ...(await startNodes(ground, env, layout)), nats: nats.url };
}

/** ms: several processes start at once on few cores. */
const START_TIMEOUT = 90_000;

async function startNodes(
  ground: Ground,
  env: Record<string, string>,
  layout: Record<string, string>,
): Promise<RunningShop> {
  const nodes: NodeProcess[] = [];
  const start = async (name: string, services: string) => {
    const port = String(await freePort());
    const node = await startNode(
      {
        ...SECRETS,
        SEED: "demo",
        RATE_LIMIT: "off",
        LOG_LEVEL: "warn",
        DATA_DIR: ground.dataDir(name),
        ...env,
        ...(services === ""
          ? {}
          : { NODE_ID: name, SERVICES: services, HEALTH_PORT: port, METRICS_PORT: port }),
      },
      START_TIMEOUT,
    );
    nodes.push(node);
    return node;
  };
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.kill("SIGTERM")));
  };
  const started = await Promise.allSettled(
    Object.entries(layout).map(([name, services]) => start(name, services)),
  );
  const failed = started.find((one) => one.status === "rejected");
  const [first] = started;
  if (failed || first?.status !== "fulfilled") {
    await stop();
    throw failed?.reason ?? new Error("The shop has no node.");
  }
  const pids = started.flatMap((one) => (one.status === "fulfilled" ? (one.value.process.pid ?? []) : []));
  return { url: first.value.url, pids, stop };
}

/** A shop with products of its own on its shelves. */
export interface StockedShop extends RunningShop {
  products: number[];
}

/** As many products as orders are spread over. */
export const PRODUCTS = 100;
/** So many that no order is refused. */
const STOCK = 1_000_000;

/** Adds products: the newest, which a list shows first. */
export async function stocked(shop: RunningShop): Promise<StockedShop> {
  const token = await adminToken(shop);
  const products: number[] = [];
  for (let index = 1; index <= PRODUCTS; index++) {
    const product = {
      name: `Coffee maker ${index}`,
      description: "Brews up to ten cups, and keeps them warm.",
      price: 29.99,
      stock_quantity: STOCK,
    };
    const answer = await send(shop, "POST", "/api/products", product, { token });
    if (answer.status !== 201) throw new Error(`POST /products answered ${answer.status}`);
    products.push(Number(answer.at("id")));
  }
  return { ...shop, products };
}

/** ms until the demo catalogue is in. */
const SEED_TIMEOUT = 60_000;

/** Waits for the demo catalogue. */
export async function untilSeeded(shop: RunningShop): Promise<void> {
  await eventually(async () => {
    const answer = await send(shop, "GET", "/api/products?limit=1&in_stock=true").catch(() => undefined);
    return answer?.status === 200 && Number(answer.at("pagination", "total")) > PRODUCTS;
  }, SEED_TIMEOUT);
}
