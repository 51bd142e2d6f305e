import { mkdir, rm } from "node:fs/promises";
import { type Config, loadConfig } from "../../lib/config.ts";
import { CliError, messageOf } from "../lib/errors.ts";
import type { LocalServer } from "./guarded-server.ts";
import { layoutOf, type NodePlan } from "./layout.ts";
import { ClusterNode } from "./node.ts";
import { accepts, freePort } from "./ports.ts";
import { say } from "./say.ts";
import { openServers, type Servers, stopServers } from "./servers.ts";
import { stateFile, writeState } from "./state.ts";

/** ms that all nodes together may take to start. */
const START = 120_000;
/** ms beyond SHUTDOWN_TIMEOUT before a node that does not stop is killed. */
const GRACE = 5_000;
/** ms to see whether a port is taken. */
const LOOK = 300;

const COLOURS = [36, 33, 32, 35, 34, 31];

/** Several nodes on this machine, each a process, and what they run on. */
export class LocalCluster {
  readonly #config: Config;
  readonly #servers: Servers;
  readonly #nodes: ClusterNode[];
  #stopping: Promise<void> | undefined;
  #written: Promise<unknown> = Promise.resolve();

  private constructor(config: Config, servers: Servers, makeNodes: (cluster: LocalCluster) => ClusterNode[]) {
    this.#config = config;
    this.#servers = servers;
    this.#nodes = makeNodes(this);
  }

  /** Plans the nodes and starts the servers that are missing. @throws CliError, ConfigError */
  static async open(args: readonly string[], env: NodeJS.ProcessEnv): Promise<LocalCluster> {
    const plans = layoutOf(args);
    const nothing = { JWT_SECRET: "-", SANDBOX_WEBHOOK_SECRET: "-", ADMIN_EMAIL: "-", ADMIN_PASSWORD: "-" };
    const config = loadConfig(env, { databaseUrl: env.DATABASE_URL ?? "", secrets: nothing });
    await mkdir(config.DATA_DIR, { recursive: true });
    const [first] = plans.filter(({ services }) => services.includes("gateway"));
    if (first && (await accepts(config.PORT, LOOK)))
      throw new CliError(`Somebody listens on port ${config.PORT} already: a shop, perhaps.`, {
        next: `Stop it, or take another port: PORT=${config.PORT + 10} npm run cluster.`,
      });
    let cluster: LocalCluster | undefined;
    const servers = await openServers(config, env, plans, (server) => cluster?.serverEnded(server));
    const ports = await Promise.all(plans.map(() => freePort()));
    cluster = new LocalCluster(config, servers, (self) => nodesOf(plans, ports, config, servers, env, self));
    return cluster;
  }

  /** Starts the nodes, and waits until all are ready. @throws CliError if one isn't; all are stopped then */
  async start(): Promise<void> {
    for (const node of this.#nodes) node.start();
    await this.#write();
    const ready = await Promise.all(this.#nodes.map((node) => node.ready(START)));
    const failed = this.#nodes.filter((_, index) => !ready[index]);
    if (this.#stopping || failed.length === 0) return;
    await this.stop();
    throw new CliError(`${failed.map(({ plan }) => plan.name).join(", ")} did not start.`);
  }

  /** Where its gateways listen. */
  get urls(): string[] {
    return this.#nodes.flatMap(({ port }) =>
      port === undefined ? [] : [`http://${this.#config.HOST}:${port}`],
    );
  }

  get size(): number {
    return this.#nodes.length;
  }

  /** Starts again what has ended: servers first, then nodes. */
  async revive(): Promise<void> {
    for (const server of this.#servers.own) {
      if (this.#stopping) return;
      await server.start().catch((error: unknown) => say(messageOf(error)));
    }
    if (this.#stopping) return;
    for (const node of this.#nodes) if (!node.isRunning) node.start();
    await this.#write();
  }

  /** One of our servers has ended. */
  serverEnded({ name }: LocalServer): void {
    if (this.#stopping) return;
    say(`${name} has ended. kill -HUP ${process.pid} starts it again.`);
    void this.#write();
  }

  /** A node has ended, by itself or by somebody else's hand. Nothing is started again by itself. */
  ended(node: ClusterNode, how: string): void {
    if (this.#stopping) return;
    say(`${node.plan.name} has ended (${how}). kill -HUP ${process.pid} starts it again.`);
    void this.#write();
  }

  /** Stops the gateways first, so that their last requests find everybody there; then the others, then the servers. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const ms = this.#config.SHUTDOWN_TIMEOUT + GRACE;
    const gateways = this.#nodes.filter(({ port }) => port !== undefined);
    for (const group of [gateways, this.#nodes]) await Promise.all(group.map((node) => node.stop(ms)));
    await stopServers(this.#servers);
    await this.#written;
    await rm(stateFile(this.#config.DATA_DIR), { force: true });
  }

  /** For the impatient. */
  kill(): void {
    for (const node of this.#nodes) node.kill();
  }

  /** One write after the other, each with what is true then. */
  #write(): Promise<unknown> {
    this.#written = this.#written
      .then(() => this.#writeNow())
      .catch((error: unknown) =>
        say(`${stateFile(this.#config.DATA_DIR)} can't be written: ${messageOf(error)}`),
      );
    return this.#written;
  }

  async #writeNow(): Promise<void> {
    await writeState(this.#config.DATA_DIR, {
      pid: process.pid,
      urls: this.urls,
      servers: Object.fromEntries(this.#servers.own.map(({ name, pid }) => [name, pid])),
      nodes: this.#nodes.map(({ plan, pid, port, probePort }) => ({
        name: plan.name,
        services: [...plan.services],
        pid: pid ?? null,
        port: port ?? null,
        probe_port: probePort,
      })),
    });
  }
}

function nodesOf(
  plans: readonly NodePlan[],
  ports: readonly number[],
  config: Config,
  servers: Servers,
  env: NodeJS.ProcessEnv,
  cluster: LocalCluster,
): ClusterNode[] {
  const isTerminal = process.stdout.isTTY === true;
  const hasColour = isTerminal && !env.NO_COLOR;
  const width = Math.max(...plans.map(({ name }) => name.length));
  let gateways = 0;
  return plans.map((plan, index) => {
    const name = plan.name.padEnd(width);
    const prefix = hasColour ? `\u001b[${COLOURS[index % COLOURS.length]}m${name}\u001b[0m` : name;
    const hasGateway = plan.services.includes("gateway");
    return new ClusterNode({
      plan,
      ...(hasGateway ? { port: config.PORT + gateways++ } : {}),
      probePort: ports[index] ?? 0,
      env: {
        ...env,
        // Their output is a pipe: what suits ours is for us to say.
        ...(isTerminal && !env.LOG_FORMAT ? { LOG_FORMAT: "pretty" } : {}),
        LOG_FILES: env.LOG_FILES || "on",
        ...servers.env,
      },
      log: (line) => process.stdout.write(`${prefix} | ${line}\n`),
      onExit: (node, how) => cluster.ended(node, how),
    });
  });
}
