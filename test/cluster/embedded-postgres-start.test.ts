import { mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { eventually } from "../helpers/client.ts";
import { PostgresShops, valuesOf } from "../helpers/embedded-postgres-shop.ts";

const shops = new PostgresShops();

describe("the first start of the embedded Postgres", () => {
  beforeEach(async () => {
    shops.dataDir = await realpath(await mkdtemp(join(tmpdir(), "molecart-postgres-")));
  });
  afterEach(async () => {
    await shops.stop();
    await rm(shops.dataDir, { recursive: true });
  });

  it.each([
    ["sets its cluster up", (names: string[]) => names.some((name) => name.startsWith("postgres.new-"))],
    ["has just set it up", (names: string[]) => names.includes("postgres")],
    ["starts its server", (names: string[]) => names.includes("postgres/postmaster.pid")],
  ])("starts after a shop that was killed while it %s", async (_, reached) => {
    const names = async () => [
      ...(await readdir(shops.dataDir)),
      ...((await shops.hasPidFile()) ? ["postgres/postmaster.pid"] : []),
    ];
    const killed = shops.open();
    await eventually(async () => reached(await names()));
    killed.process.kill("SIGKILL");
    expect(await valuesOf(await shops.open().url(), "SELECT 1")).toEqual([1]);
    await eventually(async () => {
      await shops.stop();
      await shops.open().url();
      return !(await readdir(shops.dataDir)).some((name) => name.startsWith("postgres.new-"));
    });
  });

  it("lets only one of three shops in that start together", async () => {
    const answers = await Promise.all([shops.open().says(), shops.open().says(), shops.open().says()]);
    expect(answers.filter((line) => line.url !== undefined)).toHaveLength(1);
    expect(answers.filter((line) => line.error?.includes("is in use by another shop"))).toHaveLength(2);
  });
});
