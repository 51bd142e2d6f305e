import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts } from "../cluster/ports.ts";
import { type ClusterState, readState } from "../cluster/state.ts";
import { CliError } from "../lib/errors.ts";
import { type Credentials, findCredentials } from "../lib/session.ts";
import { FAULT_KINDS } from "./plan.ts";
import { readiness } from "./probe.ts";
import { freeze, isBelow, listProcesses, signalProcess } from "./processes.ts";
import type { ChaosTarget } from "./target.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Two of what a checkout goes through, one of what it doesn't: what is killed is missed, and nothing hangs on it. */
export const LAYOUT = ["gateway=2", "products+inventory=2", "orders+payments=2"];
/** ms for a cluster to start, for a process to be seen gone or back, and to stop. */
const START = 120_000;
const SEEN = 20_000;
const STOP = 40_000;
const POLL = 30;
/** Each takes the next port. */
const MORE_GATEWAYS = 4;

/** The cluster that `npm run cluster` runs here, or undefined. */
export async function runningCluster(env: NodeJS.ProcessEnv): Promise<ChaosTarget | undefined> {
  const dataDir = env.DATA_DIR || ".data";
  const state = await readState(dataDir);
  if (!state || !(await isCluster(state.pid))) return undefined;
  const [url = ""] = state.urls;
  return await clusterTarget(dataDir, state, {
    title: `the cluster of ${state.nodes.length} nodes that runs in ${dataDir} (process ${state.pid})`,
    isOurs: false,
    admin: await findCredentials(env, url),
    close: async () => undefined,
  });
}

/** Whether that process still is what the file says: a cluster's, and not another that got its number. */
async function isCluster(pid: number): Promise<boolean> {
  const args = (await listProcesses()).get(pid)?.args ?? "";
  return /\/?cli\/cluster\/main\.ts\b/.test(args);
}

/** Starts a cluster of its own on servers of its own, in a directory that is forgotten afterwards. */
export async function startCluster(
  layout: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<ChaosTarget> {
  const dataDir = await mkdtemp(join(tmpdir(), "molecart-chaos-"));
  const { PATH, HOME, TMPDIR, LANG } = env;
  const child = spawn(
    process.execPath,
    ["--import", resolve(ROOT, "cli/cluster/leash.ts"), "cli/cluster/main.ts"].concat(
      layout.length > 0 ? layout : LAYOUT,
    ),
    {
      cwd: ROOT,
      // Nothing else of our environment: whatever database or NATS it names is not to be broken.
      env: {
        ...{ PATH, HOME, TMPDIR, LANG },
        ...{ DATA_DIR: dataDir, PORT: String(await freePorts(MORE_GATEWAYS)), SEED: "demo" },
        ...{ LOG_LEVEL: "error", LOG_FORMAT: "json", RATE_LIMIT: "off" },
      },
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    },
  );
  const close = async () => {
    await endCluster(child);
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await ready(child, signal);
    const state = await readState(dataDir);
    if (!state) throw new CliError("The cluster has left no word of itself.");
    return await clusterTarget(dataDir, state, {
      title: `a cluster of ${state.nodes.length} nodes, started for this run`,
      isOurs: true,
      admin: await findCredentials({ DATA_DIR: dataDir }, "http://127.0.0.1"),
      close,
    });
  } catch (error) {
    await close();
    throw error;
  }
}

async function ready(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const said: string[] = [];
  if (!child.stderr) throw new Error("What the cluster says is not heard.");
  const lines = createInterface({ input: child.stderr });
  const isUp = new Promise<boolean>((done) => {
    lines.on("line", (line) => {
      said.push(line);
      if (/ nodes? ready: /.test(line)) done(true);
    });
    child.once("exit", () => done(false));
    signal.addEventListener("abort", () => done(false));
    setTimeout(() => done(false), START).unref();
  });
  if (await isUp) return;
  signal.throwIfAborted();
  throw new CliError(`The cluster did not start: ${said.slice(-3).join(" ")}`);
}

async function endCluster(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP);
  await gone;
  clearTimeout(timer);
}

interface Around {
  title: string;
  isOurs: boolean;
  admin: Credentials;
  close: () => Promise<void>;
}

async function clusterTarget(dataDir: string, first: ClusterState, around: Around): Promise<ChaosTarget> {
  const { pid: main } = first;
  const now = async () => {
    const state = await readState(dataDir);
    if (state?.pid !== main) throw new CliError("The cluster has ended meanwhile.");
    return state;
  };
  /** @throws CliError unless the process is one that this cluster started */
  const pidOf = async (name: string): Promise<number> => {
    const pid = pidIn(await now(), name);
    if (pid === null) throw new CliError(`${name} is down already.`);
    if (isBelow(await listProcesses(), pid, main)) return pid;
    throw new CliError(`The process ${pid} is not one of the cluster's: it is left alone.`);
  };
  const gone = async (names: readonly string[], before: readonly number[]) => {
    await seen(async () => {
      const state = await now();
      return names.every((name, index) => pidIn(state, name) !== before[index]);
    });
  };
  const signalAll = async (names: readonly string[], signal: NodeJS.Signals) => {
    const pids = await Promise.all(names.map(pidOf));
    for (const pid of pids) signalProcess(pid, signal);
    await gone(names, pids);
  };
  return {
    mode: "cluster",
    title: around.title,
    isOurs: around.isOurs,
    nodes: first.nodes.map(({ name }) => name),
    servers: FAULT_KINDS.filter((kind) => kind in first.servers),
    urls: first.urls,
    admin: around.admin,
    kill: (names) => signalAll(names, "SIGKILL"),
    terminate: (names) => signalAll(names, "SIGTERM"),
    freeze: async (name) => await freeze(await pidOf(name)),
    async revive() {
      signalProcess((await now()).pid, "SIGHUP");
      await seen(async () => {
        const { nodes, servers } = await now();
        return nodes.every(({ pid }) => pid !== null) && Object.values(servers).every((pid) => pid !== null);
      });
    },
    async failing() {
      const state = await now();
      const all = state.nodes.map(({ name, probe_port }) => readiness(name, probe_port));
      return (await Promise.all(all)).flat();
    },
    close: around.close,
  };
}

function pidIn({ nodes, servers }: ClusterState, name: string): number | null {
  return nodes.find((node) => node.name === name)?.pid ?? servers[name] ?? null;
}

/** Waits until it is so. @throws CliError */
async function seen(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + SEEN;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new CliError("The cluster doesn't follow.");
    await delay(POLL);
  }
}
