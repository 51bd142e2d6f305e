import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A shop in a process of its own, as `npm start` runs it. */
export interface NodeProcess {
  url: string;
  process: ChildProcess;
  /** What it has written so far: for the message of a failed test. */
  output: () => string;
  /** Resolves when it is gone. @returns its exit code or signal */
  exited: Promise<number | NodeJS.Signals | null>;
  kill: (signal: NodeJS.Signals) => Promise<void>;
}

const ROOT = resolve(import.meta.dirname, "../..");

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("The server had no port.");
  return address.port;
}

/** Where nobody listens, and nobody else comes to listen in the middle of a test: connections are refused. */
export interface RefusingPort {
  url: string;
  giveBack: () => void;
}

/** @returns a port that is the near end of a connection */
export async function refusingPort(): Promise<RefusingPort> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = Object(server.address());
  const holder = connect(port, "127.0.0.1");
  await once(holder, "connect");
  server.close();
  return { url: `http://127.0.0.1:${holder.localPort}`, giveBack: () => holder.destroy() };
}

/** ms: many times what a start takes, so that only a node that can't start meets it. */
const START_TIMEOUT = 30_000;

/** A node's start is mostly the compiling of what it loads: the next one finds it here. */
const COMPILE_CACHE = join(tmpdir(), "molecart-test-compile-cache");

/** ms between two looks: a busy loop would take a core from those who start. */
const POLL = 20;

/**
 * Starts a node and waits until it is ready: by the gateway, or on `HEALTH_PORT` if that is given.
 * @throws with what it wrote, if it ends or doesn't get there
 */
export async function startNode(
  env: Record<string, string>,
  timeout: number = START_TIMEOUT,
): Promise<NodeProcess> {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [
      "node_modules/moleculer/bin/moleculer-runner.js",
      "--config",
      "moleculer.config.ts",
      "services/*/*.service.ts",
    ],
    {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: process.env.HOME ?? "",
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        LOG_LEVEL: "warn",
        ...env,
        PORT: String(port),
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exited = once(child, "exit").then(([code, signal]) => code ?? signal);
  const url = `http://127.0.0.1:${port}`;
  const probe = env.HEALTH_PORT ? `http://127.0.0.1:${env.HEALTH_PORT}` : url;
  const deadline = Date.now() + timeout;
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  while (!(await isReady(probe))) {
    if (isGone() || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`The node did not become ready:\n${output}`);
    }
    await Promise.race([exited, delay(POLL)]);
  }
  return {
    url,
    process: child,
    output: () => output,
    exited,
    async kill(signal) {
      child.kill(signal);
      await exited;
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health/ready`)).ok;
  } catch {
    return false;
  }
}
