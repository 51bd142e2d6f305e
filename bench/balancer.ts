/**
 * What a lost node costs its callers, by the way that calls are spread over nodes: `node bench/balancer.ts [seconds]`.
 * Two workers, one caller with steady calls; one worker is killed with -9, or frozen. Needs `nats-server` on the PATH. The figures
 * and what was made of them: docs/decisions/0002-balancer.md.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { type BrokerOptions, type Context, ServiceBroker } from "moleculer";
import { installCalls } from "../lib/calling.ts";
import { failureCode } from "../lib/errors.ts";
import { CIRCUIT_BREAKER, HEARTBEAT } from "../lib/resilience.ts";
import { Seal } from "../lib/seal.ts";
import { NatsTransporter } from "../lib/transporter.ts";
import { haveServers, startServer } from "../test/helpers/servers.ts";

/** An idempotent read of the shop, so that the shop's own rules for repeating apply. */
const ACTION = "products.quote";
/** ms that the worker takes for a steady call. */
const WORK = 50;
/** ms between two calls: 200 a second. */
const EVERY = 5;
/** ms after the start of the fault. */
const FAULT_AT = 2_000;
const TIMEOUT = 5_000;

interface Variant {
  name: string;
  options: (url: string) => BrokerOptions;
  /** With the shop's circuit breaker and rules for repeating. */
  guarded: boolean;
}

const stock = (url: string): BrokerOptions => ({ transporter: { type: "NATS", options: { url } } });
const own = (url: string): BrokerOptions => ({
  transporter: new NatsTransporter(
    { servers: [url.slice("nats://".length)] },
    new Seal(["a-secret-of-this-benchmark-and-no-other"]),
  ),
});

const VARIANTS: Variant[] = [
  { name: "Moleculer's balancer", options: stock, guarded: false },
  {
    name: "disableBalancer (NATS queue groups)",
    options: (url) => ({ ...stock(url), disableBalancer: true }),
    guarded: false,
  },
  { name: "Moleculer's balancer, no-responders transporter", options: own, guarded: false },
  { name: "the same with circuit breaker, repeating what may be repeated", options: own, guarded: true },
];

function brokerOf({ options, guarded }: Variant, url: string, nodeID: string): ServiceBroker {
  return new ServiceBroker({
    ...options(url),
    nodeID,
    logger: false,
    requestTimeout: TIMEOUT,
    ...HEARTBEAT,
    ...(guarded
      ? {
          circuitBreaker: CIRCUIT_BREAKER,
          created: (broker: ServiceBroker) => installCalls(broker, TIMEOUT),
        }
      : {}),
  });
}

async function work(variant: Variant, url: string, nodeID: string): Promise<void> {
  const broker = brokerOf(variant, url, nodeID);
  broker.createService({
    name: "products",
    actions: { quote: (ctx: Context<{ ids: number[] }>) => delay(ctx.params.ids[0] ?? 0, ctx.params) },
  });
  await broker.start();
  process.send?.("ready");
}

async function startWorker(variant: number, url: string, nodeID: string): Promise<ChildProcess> {
  const worker = spawn(process.execPath, [import.meta.filename, "worker", String(variant), url, nodeID], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(worker, "message");
  return worker;
}

interface Outcome {
  /** ms since the start. */
  at: number;
  took: number;
  failure?: string;
}

async function measure(index: number, variant: Variant, signal: NodeJS.Signals, seconds: number) {
  const nats = await startServer("nats");
  const broker = brokerOf(variant, nats.url, "caller");
  await broker.start();
  const workers = await Promise.all(["worker-1", "worker-2"].map((id) => startWorker(index, nats.url, id)));
  await broker.waitForServices("products");
  await delay(1_000);

  const start = performance.now();
  const calls: Promise<void>[] = [];
  const outcomes: Outcome[] = [];
  const timer = setInterval(() => calls.push(callOnce()), EVERY);
  async function callOnce(): Promise<void> {
    const at = performance.now() - start;
    const failure = await broker.call(ACTION, { ids: [WORK] }).then(
      () => undefined,
      (error: unknown) => failureCode(error) ?? String(error),
    );
    outcomes.push({ at, took: performance.now() - start - at, ...(failure ? { failure } : {}) });
  }
  await delay(FAULT_AT);
  workers[0]?.kill(signal);
  const faultAt = performance.now() - start;
  await delay(seconds * 1000 - FAULT_AT);
  clearInterval(timer);
  await Promise.all(calls);
  workers[0]?.kill("SIGKILL");
  const rate = signal === "SIGKILL" ? await burst(broker) : undefined;

  await broker.stop();
  for (const worker of workers) worker.kill("SIGKILL");
  await nats.remove();
  return { ...report(outcomes, faultAt), rate };
}

/** Calls a second by 64 callers, with the one worker that is left. */
async function burst(broker: ServiceBroker): Promise<number> {
  const until = performance.now() + 2_000;
  let done = 0;
  const caller = async () => {
    while (performance.now() < until) {
      await broker.call(ACTION, { ids: [0] });
      done++;
    }
  };
  await Promise.all(Array.from({ length: 64 }, caller));
  return Math.round(done / 2);
}

function report(outcomes: readonly Outcome[], faultAt: number) {
  const failed = outcomes.filter(({ failure }) => failure);
  const after = outcomes.filter(({ at }) => at > faultAt);
  const kinds = Map.groupBy(failed, ({ failure }) => failure);
  const before = outcomes.filter(({ at }) => at < faultAt - 100).map(({ took }) => took);
  const median = before.sort((a, b) => a - b)[Math.floor(before.length / 2)] ?? Number.NaN;
  return {
    "calls after the fault": after.length,
    "of them failed": after.filter(({ failure }) => failure).length,
    "in flight and failed": failed.length - after.filter(({ failure }) => failure).length,
    "last failure began, ms": Math.round(Math.max(0, ...failed.map(({ at }) => at - faultAt))),
    "slowest after, ms": Math.round(Math.max(...after.map(({ took }) => took))),
    failures: [...kinds].map(([kind, list]) => `${kind} ${list.length}`).join(", "),
    "p50 before, ms": Math.round(median * 10) / 10,
  };
}

const [, , role, ...rest] = process.argv;
if (role === "worker") {
  const [index = "", url = "", nodeID = ""] = rest;
  const variant = VARIANTS[Number(index)];
  if (variant) await work(variant, url, nodeID);
} else if (haveServers("nats")) {
  const seconds = Number(role ?? 20);
  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    for (const [index, variant] of VARIANTS.entries()) {
      console.log(`${signal}, ${variant.name}`, await measure(index, variant, signal, seconds));
    }
  }
}
