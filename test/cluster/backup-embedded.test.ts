import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { backup } from "../../cli/actions/backup.ts";
import { orderFlow } from "../../cli/actions/flow.ts";
import { migrateDown, migrateStatus, migrateUp } from "../../cli/actions/migrate.ts";
import { restore } from "../../cli/actions/restore.ts";
import { checkArchive } from "../../cli/backup/archive-reader.ts";
import { createArchive } from "../../cli/backup/archive-writer.ts";
import type { Manifest } from "../../cli/backup/manifest.ts";
import { openStores } from "../../cli/lib/stores.ts";
import { migrations } from "../../services/migrations.ts";
import { act } from "../cli/support.ts";
import { clean, eventually, givenProduct, send } from "../helpers/client.ts";
import { SECRETS } from "../helpers/env.ts";
import { type NodeProcess, startNode } from "../helpers/node-process.ts";

const PASSPHRASE = { MOLECART_BACKUP_PASSPHRASE: "correct horse battery staple" };
const SHOP = { SEED: "none", RATE_LIMIT: "off", JOBS_POLL: "0.5" };
let directory: string;
/** Taken while customers were buying, with the secrets. */
let archive: string;
let node: NodeProcess | undefined;

/** A shop of its own, as `npm start` runs it. */
const at = (name: string) => ({ DATA_DIR: join(directory, name), XDG_CONFIG_HOME: directory });
const manifestOf = (path: string) => checkArchive(path, () => undefined);

async function login(shop: NodeProcess, dataDir: string): Promise<string> {
  const { ADMIN_EMAIL, ADMIN_PASSWORD } = JSON.parse(await readFile(join(dataDir, "secrets.json"), "utf8"));
  const credentials = { email: ADMIN_EMAIL, password: ADMIN_PASSWORD };
  return String((await send(shop, "POST", "/api/auth/login", credentials)).at("access_token"));
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "molecart-backup-"));
  archive = join(directory, "live.tar.zst");
  const own = at("first");
  node = await startNode({ ...SHOP, ...own });
  const env = { ...own, MOLECART_URL: node.url };
  const token = await login(node, own.DATA_DIR);
  for (const name of ["Oak lamp", "Ash\ttray", "Elm \\ table\u2028"])
    await givenProduct(node, token, { name, price: 10, stock_quantity: 1000 });
  const buying = { count: 40, concurrency: 4, seed: "1", json: true };
  const mix = "browse=0,abandon=20,pay=60,decline=10,cancel=10";
  const customers = act((io) => orderFlow({ ...buying, mix }, io), { env });
  await eventually(async () => {
    const orders = await send({ url: env.MOLECART_URL }, "GET", "/api/orders/all?limit=1", undefined, {
      token,
    });
    return Number(orders.at("pagination", "total")) >= 5;
  });
  const taken = await act((io) => backup({ out: archive, json: true }, io), {
    env: { ...own, ...PASSPHRASE },
  });
  expect(taken).toMatchObject({ code: 0, stderr: "" });
  expect((await customers).code).toBe(0);
  await node.kill("SIGKILL");
}, 60_000);
afterAll(async () => {
  await node?.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

const rowsOf = ({ sections }: Manifest) => Object.fromEntries(sections.map(({ name, rows }) => [name, rows]));

describe("a backup taken while orders are made", () => {
  it("restores into an empty shop row by row, and its sagas end with every invariant holding", async () => {
    const own = at("second");
    const restored = await act((io) => restore(archive, { json: true }, io), {
      env: { ...own, ...PASSPHRASE },
    });
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    const again = join(directory, "again.tar.gz");
    const taken = await act((io) => backup({ out: again, json: true }, io), {
      env: { ...own, ...PASSPHRASE },
    });
    expect(taken.code).toBe(0);
    const [before, after] = [await manifestOf(archive), await manifestOf(again)];
    expect(rowsOf(after)).toEqual(rowsOf(before));
    expect(rowsOf(before)["sql/orders/orders"]).toBeGreaterThanOrEqual(5);
    // Byte by byte, but for jobs, of which some were under way, and the seal, which is another each time.
    const same = ({ sections }: Manifest) => sections.filter(({ name }) => !/^jobs|^secrets/.test(name));
    expect(same(after)).toEqual(same(before));
    expect(after.schemas).toEqual(before.schemas);
    const secrets = (name: string) => readFile(join(at(name).DATA_DIR, "secrets.json"), "utf8");
    expect(JSON.parse(await secrets("second"))).toEqual(JSON.parse(await secrets("first")));
    for (const dataDir of [at("first").DATA_DIR, own.DATA_DIR]) {
      const documents = join(dataDir, "documents");
      const files = (await readdir(documents)).map((name) => join(documents, name));
      // Mails, with what is in them, are for the shop alone.
      for (const path of [documents, ...files, join(dataDir, "secrets.json")])
        expect({ path, others: (await stat(path)).mode & 0o077 }).toEqual({ path, others: 0 });
    }

    const stores = await openStores(own, { how: "alone" });
    const unknown = stores.databases.map(({ client }) =>
      client.query(
        `SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND reltuples < 0 AND relname <> 'migrations'
         AND relnamespace = ANY ('{users,products,inventory,orders,payments}'::regnamespace[])`,
      ),
    );
    expect((await Promise.all(unknown)).map(({ rows }) => rows)).toEqual([[]]);
    await stores.close();

    node = await startNode({ ...SHOP, ...own });
    await clean(node, await login(node, own.DATA_DIR));
    const running = await act((io) => restore(archive, { force: true, yes: true }, io), { env: own });
    expect(running).toMatchObject({ code: 1, stdout: "" });
    expect(running.stderr).toMatch(/is running: this needs it stopped/);
    await node.kill("SIGKILL");
  }, 60_000);

  it("replaces another shop only with --force and a yes, and keeps that one's secrets without the passphrase", async () => {
    const own = at("third");
    expect(await act((io) => restore(archive, {}, io), { env: own })).toMatchObject({ code: 0 });
    const secrets = await readFile(join(own.DATA_DIR, "secrets.json"), "utf8");
    const refused = await act((io) => restore(archive, {}, io), { env: own });
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/There is a shop here already: .*\n--force puts/);
    expect(await act((io) => restore(archive, { force: true }, io), { env: own })).toMatchObject({ code: 2 });
    const forced = await act((io) => restore(archive, { force: true, yes: true }, io), { env: own });
    expect(forced).toMatchObject({ code: 0 });
    expect(forced.stderr).toMatch(/admin@molecart.local has the password of the one in/);
    expect(await readFile(join(own.DATA_DIR, "secrets.json"), "utf8")).toBe(secrets);
  });
});

it("an archive of an older schema is restored as it was, and then migrated", async () => {
  const env = at("third");
  const service = "inventory";
  expect(await act((io) => migrateDown({ service, yes: true }, io), { env })).toMatchObject({ code: 0 });
  const older = join(directory, "older.tar.zst");
  expect(await act((io) => backup({ out: older }, io), { env })).toMatchObject({ code: 0 });
  expect(await act((io) => restore(older, {}, io), { env: at("fourth") })).toMatchObject({ code: 0 });
  const { json } = await act((io) => migrateStatus({ service, json: true }, io), { env: at("fourth") });
  expect(Object(json()).migrations.map(({ state }: { state: string }) => state)).toEqual(
    migrations.inventory.map(() => "applied"),
  );
  expect(await act((io) => migrateUp({}, io), { env })).toMatchObject({ code: 0 });
});

describe("a restore that is cancelled", () => {
  /** A signal that is aborted as it is looked at for the n-th time. */
  function abortedAt(n: number): AbortSignal {
    const stop = new AbortController();
    const { signal } = stop;
    let looks = 0;
    signal.throwIfAborted = () => {
      if (++looks === n) stop.abort();
      AbortSignal.prototype.throwIfAborted.call(signal);
    };
    return signal;
  }

  it("ends, wherever it is, having changed nothing, and can be done again", async () => {
    const env = { ...at("fifth"), ...PASSPHRASE };
    // While the archive is read for the first time, among its carts and sessions, and within tables.
    for (const look of [1, 2, 6, 12]) {
      const run = await act((io) => restore(archive, {}, io), { env, signal: abortedAt(look) });
      expect(run).toMatchObject({ code: 2, stdout: "" });
      expect(run.stderr).toMatch(/Cancelled/);
    }
    expect(await act((io) => restore(archive, {}, io), { env })).toMatchObject({ code: 0 });
  }, 60_000);
});

describe("an archive is refused before anything is changed", () => {
  /** Tries to restore what `change` makes of the tar. */
  async function tried(name: string, change: (tar: Buffer) => Buffer | Promise<Buffer>) {
    const path = join(directory, `${name}.tar.zst`);
    await writeFile(path, zstdCompressSync(await change(zstdDecompressSync(await readFile(archive)))));
    return await act((io) => restore(path, { dryRun: true }, io), { env: at("never") });
  }

  it.each([
    ["cut in the middle", (tar: Buffer) => tar.subarray(0, tar.length / 2)],
    ["cut before its manifest", (tar: Buffer) => tar.subarray(0, tar.indexOf("manifest.json"))],
    [
      "with an altered row",
      (tar: Buffer) => {
        const copy = Buffer.from(tar);
        copy.write("Ivy", tar.indexOf("Oak lamp"));
        return copy;
      },
    ],
    [
      "with an altered manifest",
      (tar: Buffer) => {
        const copy = Buffer.from(tar);
        copy.write("2001", tar.indexOf('"taken_at": "') + 13);
        return copy;
      },
    ],
  ])("%s", async (name, change) => {
    const run = await tried(name.replaceAll(" ", "-"), change);
    expect(run).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toMatch(/is no whole backup: .*\nTake another backup/);
  });

  it("cut as a file, no archive at all, or not there", async () => {
    const bytes = await readFile(archive);
    const path = join(directory, "cut.tar.zst");
    for (const content of [bytes.subarray(0, bytes.length - 20), Buffer.from("PK"), Buffer.alloc(0)]) {
      await writeFile(path, content);
      const run = await act((io) => restore(path, { dryRun: true }, io), { env: at("never") });
      expect(run).toMatchObject({ code: 1, stdout: "" });
      expect(run.stderr).toMatch(/is no whole backup/);
    }
    const gone = await act((io) => restore(join(directory, "gone"), {}, io), { env: at("never") });
    expect(gone.stderr).toMatch(/can't be read \(ENOENT\)/);
  });

  it("of a newer schema, or opened with another passphrase", async () => {
    const newer = join(directory, "newer.tar.zst");
    const { sections: _, ...manifest } = await manifestOf(archive);
    const writer = await createArchive(newer);
    const schemas = manifest.schemas.map((schema) => ({
      ...schema,
      migrations: [...schema.migrations, "9999-later"],
    }));
    await writer.finish({ ...manifest, schemas });
    const run = await act((io) => restore(newer, { force: true, yes: true }, io), { env: at("third") });
    expect(run).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toMatch(/newer schema: users has the migration 9999-later/);
    const env = { ...at("third"), MOLECART_BACKUP_PASSPHRASE: "another passphrase" };
    const sealed = await act((io) => restore(archive, { force: true, yes: true }, io), { env });
    expect(sealed).toMatchObject({ code: 1, stdout: "" });
    expect(sealed.stderr).toMatch(/doesn't open the secrets/);
    const after = join(directory, "after.tar.zst");
    await act((io) => backup({ out: after }, io), { env: at("third") });
    expect(rowsOf(await manifestOf(after))["sql/orders/orders"]).toBe(
      rowsOf(await manifestOf(archive))["sql/orders/orders"],
    );
  });
});

it("there is nothing to back up where no shop has been, and a server that is away is named without its password", async () => {
  const nowhere = await act((io) => backup({}, io), { env: at("nowhere") });
  expect(nowhere).toMatchObject({ code: 1, stdout: "" });
  expect(nowhere.stderr).toMatch(/There is no shop in .*nowhere yet/);
  const DATABASE_URL = `postgres://me:${SECRETS.JWT_SECRET}@127.0.0.1:9/shop`;
  const away = await act((io) => backup({}, io), { env: { DATABASE_URL } });
  expect(away).toMatchObject({ code: 1, stdout: "" });
  expect(away.stderr).toMatch(/^The Postgres at 127.0.0.1:9\/shop can't be reached \(ECONNREFUSED\)/);
});
