import { parseArgs } from "node:util";
import { Misuse } from "../cli/lib/errors.ts";
import type { Timing } from "./measure.ts";

/** Where the shop runs. */
const MODES = ["embedded", "cluster", "nodes"] as const;
export type Mode = (typeof MODES)[number];

/** What is asked of it. */
const LOADS = ["reads", "checkout", "connections"] as const;
export type LoadName = (typeof LOADS)[number];

export interface BenchOptions extends Timing {
  modes: readonly Mode[];
  loads: readonly LoadName[];
  /** Connections that read. */
  concurrency: number;
  /** Customers who order at once. */
  buyers: number;
  /** Connections of the test whether so many are served at all. */
  connections: number;
  redis: boolean;
  /** % of a core that each process of the compared service may use; undefined: as much as there is. */
  nodeCpu?: number;
  json: boolean;
  help: boolean;
}

export const HELP = `npm run bench -- [embedded] [cluster] [nodes] [options]

Loads a shop of its own, and beside it, in turns, the least that the same answers could cost (the floors):
  hello    a bare moleculer-web before one bare action: a small answer, and answers as long as the shop's
  SQL      the four transactions of a checkout, sent by a bare pg pool, with and without prepared statements
Everything runs on this machine: one Postgres with default durability for both, the load in a process apart.

Where (default: embedded cluster)
  embedded            every service in one process
  cluster             five processes over NATS; hello then is two processes over NATS
  nodes               1, 2 and 3 processes of products, searched without a cache, and of orders

Options
  --only <load,…>     reads, checkout, connections (default: all of them)
  --duration <s>      of a round (4)
  --rounds <n>        of which the median counts (3)
  --warmup <s>        for each side before the first round (2)
  --concurrency <n>   connections that read (64)
  --buyers <n>        customers who order at once (16)
  --connections <n>   to be served without an error (1000)
  --redis             the cluster has a Redis for its cache and its sessions
  --node-cpu <%>      with nodes: what each of the 1, 2 and 3 may use of one core, as a container's limit (root, Linux)
  --json              prints JSON with every round, instead of tables
  --help

Needs nothing running; cluster and nodes need nats-server on the PATH, --redis redis-server. Takes four minutes or so. Its
figures are worth something only if nothing else runs meanwhile.
`;

/** @throws Misuse */
export function parseOptions(args: string[]): BenchOptions {
  const { values, positionals } = parse(args);
  const modes = positionals.map((name) => oneOf(MODES, name));
  const loads = (values.only ?? "").split(",").filter((name) => name !== "");
  return {
    modes: modes.length > 0 ? modes : ["embedded", "cluster"],
    loads: loads.length > 0 ? loads.map((name) => oneOf(LOADS, name)) : LOADS,
    duration: number(values.duration, "duration", 4, 1),
    rounds: number(values.rounds, "rounds", 3, 1),
    warmup: number(values.warmup, "warmup", 2, 0),
    concurrency: number(values.concurrency, "concurrency", 64, 1),
    buyers: number(values.buyers, "buyers", 16, 1),
    connections: number(values.connections, "connections", 1000, 1),
    redis: values.redis,
    ...(values["node-cpu"] === undefined ? {} : { nodeCpu: number(values["node-cpu"], "node-cpu", 100, 5) }),
    json: values.json,
    help: values.help,
  };
}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        only: text,
        duration: text,
        rounds: text,
        warmup: text,
        concurrency: text,
        buyers: text,
        connections: text,
        redis: flag,
        "node-cpu": text,
        json: flag,
        help: { ...flag, short: "h" },
      },
    });
  } catch (error) {
    throw new Misuse(error instanceof Error ? error.message : String(error), "See npm run bench -- --help.");
  }
}

function oneOf<T extends string>(names: readonly T[], given: string): T {
  const found = names.find((name) => name === given);
  if (found === undefined) throw new Misuse(`There is no ${given}: there are ${names.join(", ")}.`);
  return found;
}

function number(given: string | undefined, name: string, otherwise: number, min: number): number {
  const value = given === undefined ? otherwise : Number(given);
  if (!Number.isInteger(value) || value < min || value > 100_000)
    throw new Misuse(`--${name} must be a whole number from ${min} on.`);
  return value;
}
