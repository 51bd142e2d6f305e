import { readdir } from "node:fs/promises";
import { expect, it } from "@jest/globals";
import { withDirectory } from "../cli/support.ts";
import { molecart } from "../helpers/cli.ts";

it("an embedded shop is killed with -9 under its customers and loses nothing", async () => {
  await withDirectory(async (tmp) => {
    const args = [
      "chaos",
      "--embedded",
      "--duration",
      "5",
      "--faults",
      "kill",
      "--concurrency",
      "3",
      "--json",
    ];
    const { code, stdout, stderr } = await molecart(args, { TMPDIR: tmp, HOME: tmp });
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect({ code, stderr, last: lines.at(-1) }).toMatchObject({
      code: 0,
      stderr: "Starting an embedded shop…\n",
      last: { type: "summary", ok: true, mode: "embedded", verify: { ok: true }, failing: [] },
    });
    const { orders, faults, told } = lines.at(-1);
    expect(faults.length).toBeGreaterThan(0);
    expect(faults.every(({ failed }: { failed?: string }) => failed === undefined)).toBe(true);
    expect(orders.acknowledged).toBeGreaterThan(0);
    expect(orders.found).toBe(orders.acknowledged);
    expect(told.orders.acknowledged).toBeLessThanOrEqual(orders.acknowledged);
    expect(lines.filter(({ type }) => type === "fault")).toHaveLength(2 * faults.length);
    // Its shop is forgotten.
    expect((await readdir(tmp)).filter((name) => name.startsWith("molecart-"))).toEqual([]);
  });
}, 60_000);

it("its Postgres is killed also where the shop has hardly been started again", async () => {
  await withDirectory(async (tmp) => {
    // The first is a restart, and a second after it the shop has no connection yet.
    const args =
      "chaos --embedded --duration 5 --faults restart,postgres --seed 51 --concurrency 2 --json".split(" ");
    const { code, stdout } = await molecart(args, { TMPDIR: tmp, HOME: tmp });
    const { type, ok, faults } = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
    expect({ code, type, ok }).toEqual({ code: 0, type: "summary", ok: true });
    expect(faults).toMatchObject([{ kind: "restart" }, { kind: "postgres" }]);
    expect(faults.map(({ failed }: { failed?: string }) => failed)).toEqual([undefined, undefined]);
  });
}, 60_000);
