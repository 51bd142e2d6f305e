import { mkdtemp, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { eventually } from "../helpers/client.ts";
import { answers, PostgresShops, valuesOf } from "../helpers/embedded-postgres-shop.ts";

const shops = new PostgresShops();
const onLinux = process.platform === "linux" ? it : it.skip;

async function makeDataDir(): Promise<void> {
  shops.dataDir = await realpath(await mkdtemp(join(tmpdir(), "molecart-postgres-")));
}

async function removeDataDir(): Promise<void> {
  await shops.stop();
  await rm(shops.dataDir, { recursive: true });
}

afterEach(() => shops.stop());

describe("the embedded Postgres", () => {
  beforeAll(makeDataDir);
  afterAll(removeDataDir);

  it("keeps its data from one start to the next, and stops as often as asked", async () => {
    const first = shops.open();
    const url = await first.url();
    expect(new URL(url)).toMatchObject({
      protocol: "postgres:",
      hostname: "127.0.0.1",
      pathname: "/molecart",
    });
    await valuesOf(url, "CREATE TABLE kept AS SELECT 'Äpfel' AS word");
    first.process.stdin.end();
    expect(await first.says()).toEqual({ stopped: true });
    expect(await first.stop()).toBe(0);
    expect(await shops.isGone(url)).toBe(true);

    const second = shops.open();
    expect(await valuesOf(await second.url(), "SELECT lower(word) FROM kept")).toEqual(["äpfel"]);
    expect(await second.stop()).toBe(0);
  });

  it("keeps its password to itself", async () => {
    const shop = shops.open();
    const url = await shop.url();
    const { mode } = await stat(join(shops.dataDir, "postgres.password"));
    expect(mode & 0o777).toBe(0o600);
    const stranger = new URL(url);
    stranger.password = "wrong";
    await expect(valuesOf(stranger.href, "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
  });

  it("goes when its shop is killed", async () => {
    const shop = shops.open();
    const url = await shop.url();
    shop.process.kill("SIGKILL");
    await eventually(() => shops.isGone(url));
  });

  it("serves the next shop at once after a kill, with all that was acknowledged", async () => {
    let shop = shops.open();
    let url = await shop.url();
    await valuesOf(url, "CREATE TABLE acknowledged (id int)");
    for (const id of [1, 2, 3]) {
      await valuesOf(url, `INSERT INTO acknowledged VALUES (${id})`);
      shop.process.kill("SIGKILL");
      shop = shops.open();
      url = await shop.url();
      expect(await valuesOf(url, "SELECT count(*)::int FROM acknowledged")).toEqual([id]);
    }
  });

  it("refuses a second shop, by the first one's pid", async () => {
    const first = shops.open();
    const url = await first.url();
    const second = shops.open();
    const { error } = await second.says();
    expect(error).toMatch(`DATA_DIR ${shops.dataDir} is in use by another shop (process ${first.pid})`);
    expect(await second.stop()).toBe(1);
    expect(await valuesOf(url, "SELECT 1")).toEqual([1]);
  });

  it("is not stopped by the Ctrl-C meant for the shop", async () => {
    const shop = shops.open();
    const url = await shop.url();
    process.kill(-shop.pid, "SIGINT");
    expect(await shop.says()).toEqual({ signal: "SIGINT" });
    expect(await valuesOf(url, "SELECT 1")).toEqual([1]);
    expect(await shop.stop()).toBe(0);
  });

  it("does not take a recycled pid for its own", async () => {
    const shop = shops.open();
    await shop.url();
    await shop.stop();
    await writeFile(shops.pidFile, `${process.pid}\n${join(shops.dataDir, "postgres")}\n`);
    expect(await valuesOf(await shops.open().url(), "SELECT 1")).toEqual([1]);
  });

  onLinux("replaces a Postgres whose guardian was killed as well", async () => {
    const shop = shops.open();
    const url = await shop.url();
    const orphan = await shops.postmasterPid();
    const guardian = await shops.guardianPid();
    expect(await readFile(`/proc/${guardian}/cmdline`, "utf8")).toContain("molecart-guardian");
    process.kill(guardian, "SIGKILL");
    shop.process.kill("SIGKILL");
    await shop.exited;
    expect(await answers(url)).toBe(true);

    expect(await valuesOf(await shops.open().url(), "SELECT 1")).toEqual([1]);
    expect(await shops.postmasterPid()).not.toBe(orphan);
    expect(await answers(url)).toBe(false);
  });
});
