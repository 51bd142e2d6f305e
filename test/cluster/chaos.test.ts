import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { type ClusterState, readState } from "../../cli/cluster/state.ts";
import { molecart } from "../helpers/cli.ts";
import { eventually, send } from "../helpers/client.ts";
import { freePort } from "../helpers/node-process.ts";
import { haveServers } from "../helpers/servers.ts";

/** `molecart chaos` against clusters, as somebody types it. */

const ROOT = resolve(import.meta.dirname, "../..");
const START = 60_000;

(haveServers("nats", "redis") ? describe : describe.skip)("molecart chaos", () => {
  let dataDir: string;
  let cluster: ChildProcess | undefined;
  let env: Record<string, string>;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "molecart-broken-"));
  });
  afterEach(async () => {
    if (cluster && cluster.exitCode === null) {
      cluster.kill("SIGTERM");
      await once(cluster, "exit");
    }
    cluster = undefined;
    await rm(dataDir, { recursive: true, force: true });
  }, 60_000);

  it("breaks a cluster of its own, whose promises hold", async () => {
    const args = ["chaos", "--cluster", "--duration", "25", "--seed", "3", "--json"];
    const { code, stdout, stderr } = await molecart(args, { HOME: dataDir });
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const summary = lines.at(-1);
    expect({ code, summary, stderr }).toMatchObject({
      code: 0,
      summary: { type: "summary", ok: true, mode: "cluster", verify: { ok: true }, failing: [] },
    });
    expect(summary.faults.length).toBeGreaterThan(3);
    expect(summary.faults.filter(({ failed }: { failed?: string }) => failed)).toEqual([]);
    expect(summary.orders.acknowledged).toBeGreaterThan(10);
  }, 180_000);

  /** `npm run cluster`, in a directory of its own. */
  async function start(): Promise<ClusterState> {
    const port = await freePort();
    env = { DATA_DIR: dataDir, PORT: String(port), HOME: dataDir };
    cluster = spawn(process.execPath, ["cli/cluster/main.ts", "orders+payments=2", "analytics=0"], {
      cwd: ROOT,
      env: { ...env, PATH: process.env.PATH, LOG_LEVEL: "error", RATE_LIMIT: "off" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let output = "";
    cluster.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await eventually(async () => / nodes ready: /.test(output), START);
    const state = await readState(dataDir);
    if (!state) throw new Error(output);
    return state;
  }
  const isFrozen = async (pid: number | null) =>
    /\) T/.test(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));

  it("breaks the one that runs here only when it may, and mends all at Ctrl-C", async () => {
    const before = await start();
    const refused = await molecart(["chaos"], env);
    expect([refused.code, refused.stdout]).toEqual([2, ""]);
    expect(refused.stderr).toMatch(/the cluster of 6 nodes that runs in .*Say it with --yes/s);

    const child = spawn(
      process.execPath,
      ["cli/bin.js", "chaos", "--yes", "--json", "--faults", "freeze,kill", "--duration", "60"],
      {
        cwd: ROOT,
        env: { ...env, PATH: process.env.PATH ?? "", XDG_CONFIG_HOME: "/nonexistent" },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const seen = { freeze: false, kill: false };
    const closed = once(child, "close");
    let isCancelled = false;
    for await (const line of createInterface({ input: child.stdout })) {
      const event = JSON.parse(line);
      if (event.type !== "fault") continue;
      if (event.kind === "kill" && event.ended !== null) seen.kill = true;
      if (event.kind === "freeze" && event.ended === null) {
        seen.freeze = true;
        const [name] = event.targets;
        const pid = before.nodes.find((node) => node.name === name)?.pid ?? null;
        if (!seen.kill) await eventually(() => isFrozen(pid));
      }
      // Once: a second Ctrl-C ends it without a word.
      if (seen.freeze && seen.kill && !isCancelled) isCancelled = child.kill("SIGINT");
    }
    expect(await closed).toEqual([2, null]);
    expect(said).toMatch(/Cancelled after \d+ faults?: nothing is frozen/);

    const after = await readState(dataDir);
    expect(after?.pid).toBe(before.pid);
    const pids = [...(after?.nodes ?? []).map(({ pid }) => pid), ...Object.values(after?.servers ?? {})];
    expect(pids).not.toContain(null);
    expect((await Promise.all(pids.map(isFrozen))).includes(true)).toBe(false);
    await eventually(async () => {
      const health = await send({ url: `http://127.0.0.1:${env.PORT}` }, "GET", "/health").catch(
        () => undefined,
      );
      return health?.body.status === "healthy" || health?.body.status === "degraded";
    }, START);
    // The CLI finds the shop, and its admin's login, by itself.
    await eventually(async () => (await molecart(["verify"], env)).code === 0, START);
  }, 240_000);
});
