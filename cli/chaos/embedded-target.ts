import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import { ClusterNode } from "../cluster/node.ts";
import { freePort } from "../cluster/ports.ts";
import { CliError } from "../lib/errors.ts";
import { findCredentials } from "../lib/session.ts";
import { readiness } from "./probe.ts";
import { below, freeze, listProcesses, signalProcess } from "./processes.ts";
import type { ChaosTarget } from "./target.ts";

const NAME = "shop";
const START = 90_000;
const STOP = 30_000;

/** Starts an embedded shop, one process with a Postgres of its own, in a directory that is forgotten afterwards. */
export async function startEmbedded(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<ChaosTarget> {
  const dataDir = await mkdtemp(join(tmpdir(), "molecart-chaos-"));
  const { PATH, HOME, TMPDIR, LANG } = env;
  const [port, probePort] = await Promise.all([freePort(), freePort()]);
  const said: string[] = [];
  const node = new ClusterNode({
    plan: { name: NAME, services: SERVICE_NAMES },
    port,
    probePort,
    env: {
      ...{ PATH, HOME, TMPDIR, LANG },
      ...{ DATA_DIR: dataDir, SEED: "demo", LOG_LEVEL: "error", LOG_FORMAT: "json", RATE_LIMIT: "off" },
    },
    log: (line) => {
      said.push(line);
      if (said.length > 3) said.shift();
    },
    onExit: () => undefined,
  });
  const close = async () => {
    await node.stop(STOP);
    await rm(dataDir, { recursive: true, force: true });
  };
  const pid = () => {
    if (node.pid === undefined) throw new CliError("The shop is down already.");
    return node.pid;
  };
  const end = async (name: NodeJS.Signals) => {
    const isGone = node.gone();
    signalProcess(pid(), name);
    await isGone;
  };
  try {
    node.start();
    const isUp = await Promise.race([node.ready(START), once(signal, "abort").then(() => false)]);
    signal.throwIfAborted();
    if (!isUp) throw new CliError(`The shop did not start: ${said.join(" ")}`);
    const url = `http://127.0.0.1:${port}`;
    return {
      mode: "embedded",
      title: "one embedded shop with its own Postgres, started for this run",
      isOurs: true,
      nodes: [NAME],
      servers: ["postgres"],
      urls: [url],
      admin: await findCredentials({ DATA_DIR: dataDir }, url),
      async kill(names) {
        if (names.includes(NAME)) await end("SIGKILL");
        if (names.includes("postgres")) {
          // One that was just started has no connection yet, nor a Postgres.
          await node.ready(START);
          await killBackend(pid());
        }
      },
      terminate: () => end("SIGTERM"),
      freeze: () => freeze(pid()),
      async revive() {
        if (!node.isRunning) node.start();
      },
      failing: () => readiness(NAME, probePort),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Kills one of Postgres's own processes: it then ends every connection, and recovers from its log by itself. */
async function killBackend(shop: number): Promise<void> {
  const processes = await listProcesses();
  const backends = below(processes, shop).filter((pid) =>
    /^postgres: molecart /.test(processes.get(pid)?.args ?? ""),
  );
  const [victim] = backends;
  if (victim === undefined) throw new CliError("The shop's Postgres has no connections: nothing to kill.");
  signalProcess(victim, "SIGKILL");
}
