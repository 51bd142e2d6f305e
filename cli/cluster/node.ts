import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import type { NodePlan } from "./layout.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const POLL = 100;
/** ms that a node may take to say whether it is ready: a frozen one says nothing. */
const ANSWER = 2_000;

interface NodeOptions {
  plan: NodePlan;
  /** Where its gateway listens; only for nodes that have one. */
  port?: number;
  /** Where it answers `/health/live`, `/health/ready` and `/metrics`. */
  probePort: number;
  env: NodeJS.ProcessEnv;
  /** Takes each line that it writes. */
  log: (line: string) => void;
  /** Told when it is gone. */
  onExit: (node: ClusterNode, how: string) => void;
}

/** One process of the cluster, as `npm start` would run it with the same environment. */
export class ClusterNode {
  readonly plan: NodePlan;
  readonly port: number | undefined;
  readonly probePort: number;
  readonly #options: NodeOptions;
  #child: ChildProcess | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.plan = options.plan;
    this.port = options.port;
    this.probePort = options.probePort;
  }

  get pid(): number | undefined {
    return this.isRunning ? this.#child?.pid : undefined;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  start(): void {
    const { env, log, onExit } = this.#options;
    const child = spawn(
      process.execPath,
      [
        "--import",
        resolve(import.meta.dirname, "leash.ts"),
        "node_modules/moleculer/bin/moleculer-runner.js",
      ].concat(["--config", "moleculer.config.ts"]),
      {
        cwd: ROOT,
        env: {
          ...env,
          NODE_ID: this.plan.name,
          SERVICES: this.plan.services.join(","),
          HEALTH_PORT: String(this.probePort),
          METRICS_PORT: String(this.probePort),
          ...(this.port === undefined ? {} : { PORT: String(this.port) }),
        },
        // A group of its own: a Ctrl-C reaches us, and we tell the nodes in order.
        detached: true,
        stdio: ["ignore", "pipe", "pipe", "ipc"],
      },
    );
    this.#child = child;
    for (const input of [child.stdout, child.stderr]) {
      if (input) createInterface({ input }).on("line", log);
    }
    child.once("exit", (code, signal) => onExit(this, signal ?? `code ${code}`));
  }

  /** Waits until it may be given requests. @returns false if it has ended, or wasn't ready in `ms` */
  async ready(ms: number): Promise<boolean> {
    const deadline = performance.now() + ms;
    while (this.isRunning && performance.now() < deadline) {
      if (await answersOk(`http://127.0.0.1:${this.probePort}/health/ready`)) return true;
      await delay(POLL);
    }
    return false;
  }

  /** Resolves when it has ended. */
  async gone(): Promise<void> {
    if (this.#child && this.isRunning) await once(this.#child, "exit");
  }

  /** Asks it to stop, and ends it if it hasn't after `ms`. */
  async stop(ms: number): Promise<void> {
    const child = this.#child;
    if (!child || !this.isRunning) return;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    // One that somebody froze would not hear it.
    child.kill("SIGCONT");
    const timer = setTimeout(() => child.kill("SIGKILL"), ms);
    await gone;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(ANSWER) })).ok;
  } catch {
    return false;
  }
}
