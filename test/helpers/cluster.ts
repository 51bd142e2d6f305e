import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { ProgramKind } from "../../cli/cluster/server-kinds.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../lib/stores/embedded-postgres.ts";
import { eventually, send } from "./client.ts";
import { SECRETS, TEST_ENV } from "./env.ts";
import { freePort, type NodeProcess, startNode } from "./node-process.ts";
import { startServer, type TestServer } from "./servers.ts";
import { startProxy, type TcpProxy } from "./tcp-proxy.ts";

/** ms: several processes start at once on few cores. */
const START_TIMEOUT = 60_000;

export interface ClusterOptions {
  /** The servers beside NATS and Postgres. */
  servers?: Exclude<ProgramKind, "nats">[];
  env?: Record<string, string>;
  /** Has the nodes reach NATS, Redis and MongoDB through proxies, too: `cluster.wire("nats")`. */
  wired?: boolean;
  /** More for single nodes, by name. */
  nodeEnv?: Record<string, Record<string, string>>;
}

/** A shop of several processes on servers of its own. */
export interface Cluster {
  /** Of the gateway. */
  readonly url: string;
  /** What the nodes reach Postgres by. */
  readonly postgres: TcpProxy;
  readonly nats: TestServer;
  readonly redis: TestServer;
  readonly mongo: TestServer;
  /** What the nodes reach this server by, in a cluster that is `wired`. */
  wire: (kind: ProgramKind) => TcpProxy;
  readonly names: readonly string[];
  node: (name: string) => NodeProcess;
  /** Starts a node, and waits until it is ready; one that runs is killed before. */
  start: (name: string, env?: Record<string, string>) => Promise<NodeProcess>;
  /** Where a node tells of itself: `/health/ready`, `/metrics`. */
  probe: (name: string) => string;
  /** What a node says of itself: empty when it is ready, undefined when it doesn't answer (in `timeout` ms). */
  failing: (name: string, timeout?: number) => Promise<string[] | undefined>;
  /** Asks Postgres itself, past what may be broken. */
  sql: <R extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<R[]>;
  stop: () => Promise<void>;
}

/**
 * Starts the servers, then all nodes at once, and waits until the shop is healthy.
 * @param layout the services of each node, comma-separated, by the node's name; one has the gateway
 */
export async function startCluster(
  layout: Record<string, string>,
  { servers = [], wired = false, env = {}, nodeEnv = {} }: ClusterOptions = {},
): Promise<Cluster> {
  const dataDir = await mkdtemp(join(tmpdir(), "molecart-cluster-"));
  const running = new Map<ProgramKind, TestServer>();
  const wires = new Map<ProgramKind, TcpProxy>();
  const nodes = new Map<string, NodeProcess>();
  const ports = new Map<string, string>();
  let postgres: EmbeddedPostgres | undefined;
  let proxy: TcpProxy | undefined;
  let pool: pg.Pool | undefined;

  const stop = async () => {
    await Promise.all([...nodes.values()].map((node) => node.kill("SIGKILL")));
    await Promise.all([...running.values()].map((server) => server.remove()));
    await Promise.all([...wires.values()].map((wire) => wire.close()));
    await pool?.end();
    await proxy?.close();
    await postgres?.stop();
    await rm(dataDir, { recursive: true, force: true });
  };

  try {
    const [own] = await Promise.all([
      startPostgres(dataDir),
      ...(["nats", ...servers] as const).map(async (kind) => running.set(kind, await startServer(kind))),
    ]);
    postgres = own;
    pool = new pg.Pool({ connectionString: own.url, max: 2 });
    pool.on("error", () => undefined);
    const url = new URL(own.url);
    const broken = await startProxy(Number(url.port));
    proxy = broken;
    url.port = String(broken.port);

    const serverOf = (kind: ProgramKind) => {
      const server = running.get(kind);
      if (!server) throw new Error(`This cluster has no ${kind}.`);
      return server;
    };
    for (const [kind, server] of wired ? running : []) wires.set(kind, await startProxy(server.port));
    const wireOf = (kind: ProgramKind) => {
      const wire = wires.get(kind);
      if (!wire) throw new Error(`There is no wire to ${kind} in this cluster.`);
      return wire;
    };
    /** By what a node reaches a server. */
    const urlOf = (kind: ProgramKind) => {
      const { url: direct, port: own } = serverOf(kind);
      return wired ? direct.replace(`:${own}`, `:${wireOf(kind).port}`) : direct;
    };
    const nodeOf = (name: string) => {
      const node = nodes.get(name);
      if (!node) throw new Error(`This cluster has no node ${name}.`);
      return node;
    };
    const start = async (name: string, more: Record<string, string> = {}) => {
      await nodes.get(name)?.kill("SIGKILL");
      const port = ports.get(name) ?? String(await freePort());
      ports.set(name, port);
      const node = await startNode(
        {
          ...TEST_ENV,
          ...SECRETS,
          LOG_LEVEL: "warn",
          DATABASE_POOL: "4",
          JOBS_POLL: "2",
          DATA_DIR: join(dataDir, name),
          DATABASE_URL: url.href,
          NATS_URL: urlOf("nats"),
          ...(running.has("redis") ? { REDIS_URL: urlOf("redis") } : {}),
          ...(running.has("mongo") ? { MONGO_URL: urlOf("mongo") } : {}),
          NODE_ID: name,
          SERVICES: layout[name] ?? "",
          HEALTH_PORT: port,
          METRICS_PORT: port,
          ...env,
          ...more,
        },
        START_TIMEOUT,
      );
      nodes.set(name, node);
      return node;
    };
    const started = await Promise.allSettled(Object.keys(layout).map((name) => start(name, nodeEnv[name])));
    for (const one of started) if (one.status === "rejected") throw one.reason;

    const [gateway = ""] = Object.keys(layout).filter((name) => layout[name]?.split(",").includes("gateway"));
    const cluster: Cluster = {
      get url() {
        return nodeOf(gateway).url;
      },
      postgres: broken,
      get nats() {
        return serverOf("nats");
      },
      get redis() {
        return serverOf("redis");
      },
      get mongo() {
        return serverOf("mongo");
      },
      wire: wireOf,
      names: Object.keys(layout),
      node: nodeOf,
      start,
      probe: (name) => `http://127.0.0.1:${ports.get(name)}`,
      failing: (name, timeout = 5_000) => failingOf(`http://127.0.0.1:${ports.get(name)}`, timeout),
      async sql<R extends pg.QueryResultRow>(text: string, values: unknown[] = []) {
        const result = await pool?.query<R>(text, values);
        return result?.rows ?? [];
      },
      stop,
    };
    await healthy(cluster);
    return cluster;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits until every service is there. */
export async function healthy(cluster: Pick<Cluster, "url">, timeout = 20_000): Promise<void> {
  await eventually(async () => {
    const answer = await send(cluster, "GET", "/health").catch(() => undefined);
    return answer?.body.status === "healthy";
  }, timeout);
}

async function failingOf(probe: string, timeout: number): Promise<string[] | undefined> {
  try {
    const response = await fetch(`${probe}/health/ready`, { signal: AbortSignal.timeout(timeout) });
    const { failing }: { failing: string[] } = JSON.parse(await response.text());
    return response.ok ? [] : failing;
  } catch {
    return undefined;
  }
}

async function startPostgres(dataDir: string): Promise<EmbeddedPostgres> {
  return await startEmbeddedPostgres({
    dataDir,
    settings: { fsync: "off", full_page_writes: "off", max_connections: "300" },
  });
}
