import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { type ClusterState, readState } from "../../cli/cluster/state.ts";
import { eventually, send } from "../helpers/client.ts";
import { freePort } from "../helpers/node-process.ts";
import { haveServers } from "../helpers/servers.ts";

/** `npm run cluster`, as somebody types it. */

const ROOT = resolve(import.meta.dirname, "../..");
const START = 60_000;

let dataDir: string;
let cluster: ChildProcess;
let output: string;
let url: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "molecart-local-"));
});
afterEach(async () => {
  if (cluster.exitCode === null && cluster.signalCode === null) {
    cluster.kill("SIGTERM");
    await once(cluster, "exit");
  }
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);

async function start(...args: string[]): Promise<void> {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  output = "";
  cluster = spawn(process.execPath, ["cli/cluster/main.ts", ...args], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      DATA_DIR: dataDir,
      PORT: String(port),
      LOG_LEVEL: "warn",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [cluster.stdout, cluster.stderr])
    stream?.on("data", (chunk: Buffer) => (output += chunk.toString()));
}

const state = () => readState(dataDir);

async function ready(): Promise<ClusterState> {
  await eventually(async () => {
    if (cluster.exitCode !== null) throw new Error(output);
    return / nodes ready: /.test(output);
  }, START);
  const now = await state();
  if (!now) throw new Error("There is no cluster.json.");
  return now;
}

const pidOf = (now: ClusterState | undefined, name: string) =>
  now?.nodes.find((node) => node.name === name)?.pid;

function isAlive(pid: number | null): boolean {
  try {
    return pid !== null && process.kill(pid, 0);
  } catch {
    return false;
  }
}
const pids = ({ nodes, servers }: ClusterState) => [
  ...nodes.map(({ pid }) => pid),
  ...Object.values(servers),
];

(haveServers("nats") ? describe : describe.skip)("a cluster on one machine", () => {
  it("starts what it is asked for on what it finds, starts nothing again by itself, and stops cleanly", async () => {
    await start("orders=2", "analytics=0");
    const running = await ready();
    expect(running.nodes.map(({ name }) => name)).toEqual([
      "gateway",
      "auth-users-cart",
      "products-inventory",
      "payments",
      "notifications",
      "orders-1",
      "orders-2",
    ]);
    expect(output).toMatch(/^NATS .*started for this cluster$/m);
    expect(output).toMatch(/^Postgres .*embedded/m);
    expect(output).toMatch(/^Redis .*(none|started for this cluster)/m);
    const products = await eventually(async () => {
      const answer = await send({ url }, "GET", "/api/products?limit=1").catch(() => undefined);
      return Number(answer?.at("pagination", "total")) > 100 && answer;
    }, START);
    expect(products.status).toBe(200);

    process.kill(pidOf(running, "orders-1") ?? 0, "SIGKILL");
    await eventually(async () => output.includes("orders-1 has ended (SIGKILL)"));
    await eventually(async () => pidOf(await state(), "orders-1") === null);
    cluster.kill("SIGHUP");
    const revived = await eventually(async () => {
      const now = await state();
      return pidOf(now, "orders-1") ? now : undefined;
    });
    expect(pidOf(revived, "orders-1")).not.toBe(pidOf(running, "orders-1"));
    expect(pidOf(revived, "orders-2")).toBe(pidOf(running, "orders-2"));

    // Its servers come back the same way, where they were and with what they knew.
    for (const name of Object.keys(revived.servers)) {
      process.kill(revived.servers[name] ?? 0, "SIGKILL");
      await eventually(async () => (await state())?.servers[name] === null);
      expect(output).toContain(`${name} has ended`);
    }
    cluster.kill("SIGHUP");
    const whole = await eventually(async () => {
      const now = await state();
      return now && !pids(now).includes(null) ? now : undefined;
    }, START);
    await eventually(async () => {
      const answer = await send({ url }, "GET", "/api/products?limit=1").catch(() => undefined);
      return Number(answer?.at("pagination", "total")) > 100;
    }, START);

    // One that is frozen is ended with the others.
    process.kill(pidOf(whole, "payments") ?? 0, "SIGSTOP");
    const exited = once(cluster, "exit");
    cluster.kill("SIGINT");
    expect(await exited).toEqual([0, null]);
    expect(pids(whole).filter(isAlive)).toEqual([]);
    expect(await state()).toBeUndefined();
  }, 120_000);

  it("leaves nothing running when it is killed", async () => {
    await start("auth+users+products+inventory+cart+orders+payments+notifications+analytics=1");
    const running = await ready();
    expect(running.nodes).toHaveLength(2);
    cluster.kill("SIGKILL");
    await eventually(async () => !pids(running).some(isAlive), 30_000);
  }, 120_000);

  it("says what is wrong with a layout, and starts nothing", async () => {
    await start("order=2");
    expect(await once(cluster, "exit")).toEqual([2, null]);
    expect(output).toContain("There is no service order.");
    expect(await state()).toBeUndefined();
  });
});
