import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import pg from "pg";
import { backup } from "../../cli/actions/backup.ts";
import { orderFlow } from "../../cli/actions/flow.ts";
import { restore } from "../../cli/actions/restore.ts";
import { checkArchive } from "../../cli/backup/archive-reader.ts";
import type { Manifest } from "../../cli/backup/manifest.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../lib/stores/embedded-postgres.ts";
import { act } from "../cli/support.ts";
import { adminToken, clean, eventually, givenProduct, send } from "../helpers/client.ts";
import { ADMIN, SECRETS, TEST_ENV } from "../helpers/env.ts";
import { freePort, type NodeProcess, startNode } from "../helpers/node-process.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";

const onServers = haveServers("nats", "redis", "mongo") ? describe : describe.skip;

/** Two nodes and three databases: orders and payments each have one of their own. */
const LAYOUT = {
  front: "gateway,auth,users,products,cart,notifications,analytics",
  back: "inventory,orders,payments",
};

onServers("backup and restore of a cluster", () => {
  let directory: string;
  let postgres: EmbeddedPostgres | undefined;
  let servers: TestServer[] = [];
  let nodes: NodeProcess[] = [];

  /** Where the stores of one shop are. */
  async function storesOf(name: string): Promise<Record<string, string>> {
    const [redis, mongo] = await Promise.all([startServer("redis"), startServer("mongo")]);
    servers.push(redis, mongo);
    const client = new pg.Client({ connectionString: postgres?.url });
    await client.connect();
    const databaseOf = async (part: string) => {
      await client.query(`CREATE DATABASE ${name}_${part}`);
      const url = new URL(postgres?.url ?? "");
      url.pathname = `/${name}_${part}`;
      return url.href;
    };
    const stores = {
      DATABASE_URL: await databaseOf("common"),
      ORDERS_DATABASE_URL: await databaseOf("orders"),
      PAYMENTS_DATABASE_URL: await databaseOf("payments"),
      REDIS_URL: redis.url,
      MONGO_URL: mongo.url,
      NATS_URL: servers[0]?.url ?? "",
      NAMESPACE: "backup[1]?",
    };
    await client.end();
    return stores;
  }

  async function startNodes(stores: Record<string, string>): Promise<NodeProcess> {
    const started = await Promise.all(
      Object.entries(LAYOUT).map(async ([name, services]) =>
        startNode({
          ...TEST_ENV,
          ...SECRETS,
          ...stores,
          LOG_LEVEL: "warn",
          NODE_ID: name,
          SERVICES: services,
          HEALTH_PORT: String(await freePort()),
        }),
      ),
    );
    nodes = started;
    const [front] = started;
    if (!front) throw new Error("No node was started.");
    await eventually(async () => (await send(front, "GET", "/health")).body.status === "healthy", 20_000);
    return front;
  }

  const stopNodes = async () => {
    await Promise.all(nodes.map((node) => node.kill("SIGKILL")));
    nodes = [];
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "molecart-backup-"));
    postgres = await startEmbeddedPostgres({
      dataDir: join(directory, "postgres"),
      settings: { fsync: "off", synchronous_commit: "off", max_connections: "200" },
    });
    servers = [await startServer("nats")];
  }, 60_000);
  afterAll(async () => {
    await stopNodes();
    await Promise.all(servers.map((server) => server.remove()));
    await postgres?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const manifestOf = (path: string) => checkArchive(path, () => undefined);
  const rowsOf = ({ sections }: Manifest) =>
    Object.fromEntries(sections.map(({ name, rows }) => [name, rows]));

  it("taken while orders are made on three databases, Redis and MongoDB: equal rows, and verify is clean", async () => {
    const stores = await storesOf("first");
    const shop = await startNodes(stores);
    const token = await adminToken(shop);
    for (const name of ["Oak lamp", "Ash tray", "Elm table"])
      await givenProduct(shop, token, { name, price: 10, stock_quantity: 5000 });
    const env = {
      ...stores,
      MOLECART_URL: shop.url,
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
    };
    const buying = { count: 150, concurrency: 6, seed: "3", json: true };
    const mix = "browse=0,abandon=20,pay=60,decline=10,cancel=10";
    const customers = act((io) => orderFlow({ ...buying, mix }, io), { env });
    await eventually(async () => {
      const orders = await send(shop, "GET", "/api/orders/all?limit=1", undefined, { token });
      return Number(orders.at("pagination", "total")) >= 20;
    }, 20_000);
    const archive = join(directory, "cluster.tar.zst");
    const taken = await act((io) => backup({ out: archive, json: true }, io), { env: stores });
    expect(taken).toMatchObject({ code: 0, stderr: "" });
    // A shop that runs is not written over, whatever is forced.
    const running = await act((io) => restore(archive, { force: true, yes: true, json: true }, io), {
      env: stores,
    });
    expect(running).toMatchObject({ code: 1 });
    expect(running.stderr).toMatch(/A shop is running on these databases/);
    expect((await customers).code).toBe(0);
    await stopNodes();

    const second = await storesOf("second");
    const restored = await act((io) => restore(archive, { json: true }, io), { env: second });
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    const again = join(directory, "again.tar.zst");
    expect(await act((io) => backup({ out: again, json: true }, io), { env: second })).toMatchObject({
      code: 0,
    });
    const [before, after] = [await manifestOf(archive), await manifestOf(again)];
    expect(rowsOf(after)).toEqual(rowsOf(before));
    const sql = ({ sections }: Manifest) => sections.filter(({ name }) => name.startsWith("sql/"));
    expect(sql(after)).toEqual(sql(before));
    expect(rowsOf(before)["key-values"]).toBeGreaterThan(0);
    expect(rowsOf(before)["documents/notifications"]).toBeGreaterThan(0);

    const next = await startNodes(second);
    // Who was logged in still is.
    await clean(next, token);
    await stopNodes();

    // From a cluster of three databases to a laptop.
    const own = { DATA_DIR: join(directory, "embedded") };
    expect(await act((io) => restore(archive, {}, io), { env: own })).toMatchObject({ code: 0 });
    const third = join(directory, "third.tar.zst");
    expect(await act((io) => backup({ out: third }, io), { env: own })).toMatchObject({ code: 0 });
    const inOne = rowsOf(await manifestOf(third));
    for (const [name, rows] of Object.entries(rowsOf(before)))
      if (!name.startsWith("jobs/")) expect([name, inOne[name]]).toEqual([name, rows]);
    const jobs = (all: Record<string, number>) =>
      Object.entries(all).reduce((sum, [name, rows]) => sum + (/^jobs\/\d+\/job$/.test(name) ? rows : 0), 0);
    expect(jobs(inOne)).toBe(jobs(rowsOf(before)));
    // And not back: one database's jobs can't be told apart.
    const back = await act((io) => restore(third, { force: true, yes: true, dryRun: true }, io), {
      env: second,
    });
    expect(back).toMatchObject({ code: 1, stdout: "" });
    expect(back.stderr).toMatch(
      /one database for users, products, inventory, orders, payments; here they are in 3/,
    );
  }, 240_000);
});
