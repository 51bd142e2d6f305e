import type { ServiceBroker } from "moleculer";
import { call } from "../../lib/call.ts";
import type { ResultOf } from "../../lib/contract.ts";
import { percentile } from "../../lib/latency-window.ts";
import { toDecimal } from "../../lib/money.ts";
import { isDeadLetterQueue } from "../../lib/stores/job-figures.ts";
import { atMost, goodFor } from "../../lib/waiting.ts";
import { PUBLISHERS } from "../../mixins/jobs.contract.ts";
import { contracts } from "../contracts.ts";
import type { ordersContract } from "../orders/orders.contract.ts";
import { askPublishers, byDatabase } from "./events.ts";
import { healthOf, shopStatusOf } from "./health.ts";
import type { QueueOverview, ServiceStatus, ShopStatus } from "./status.contract.ts";
import { askNodes, type LostNodes, type NodeAnswer, nodeStatus, storeStatus } from "./status-nodes.ts";

/** ms that an answer is good for: ten screens cost as much as one. */
const FRESH = 1_000;
/** ms after which an answer goes without what is still missing. */
const DEADLINE = 800;

type OrderFigures = ResultOf<typeof ordersContract.actions.figures>;

/** The shop at a glance: every node, store, service and queue asked at once, and no more often than once a second. */
export function statusBoard(broker: ServiceBroker, lost: LostNodes): () => Promise<ShopStatus> {
  return goodFor(FRESH, () => askShop(broker, lost));
}

async function askShop(broker: ServiceBroker, lost: LostNodes): Promise<ShopStatus> {
  const self = { broker, name: "gateway" };
  const options = { timeout: DEADLINE };
  const [nodes, orders, queues, low_stock] = await Promise.all([
    askNodes(broker, lost),
    within(call(self, "orders.figures", {}, options)),
    within(askPublishers((service) => call(self, `${service}.queueFigures`, {}, options))),
    within(call(self, "products.lowStock", {}, options)),
  ]);
  const failed = queues?.failed.map(({ service }) => service) ?? PUBLISHERS;
  const services = servicesOf(nodes);
  return {
    status: shopStatusOf(services),
    nodes: nodes.map(nodeStatus).sort((a, b) => (a.id < b.id ? -1 : 1)),
    stores: storeStatus(nodes),
    services,
    circuits: circuitsOf(nodes),
    sales: orders ? salesOf(orders) : null,
    sagas: orders ? sagasOf(orders) : null,
    queues: queues && queues.answers.length > 0 ? queuesOf(byDatabase(queues.answers)) : null,
    low_stock: low_stock ?? null,
    not_asked: [...new Set([...failed, ...(orders ? [] : ["orders"]), ...(low_stock ? [] : ["products"])])],
    timestamp: new Date().toISOString(),
  };
}

/** @returns undefined if it fails, or takes too long */
async function within<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await atMost(DEADLINE, asked);
  } catch {
    return undefined;
  }
}

function circuitsOf(nodes: readonly NodeAnswer[]): ShopStatus["circuits"] {
  return nodes.flatMap(({ id, figures }) =>
    (figures?.circuits ?? []).map(({ node, action }) => ({ from: id, node, action })),
  );
}

function servicesOf(nodes: readonly NodeAnswer[]): ServiceStatus[] {
  const circuits = circuitsOf(nodes);
  return contracts.map(({ name }) => {
    const offering = nodes.filter(({ services }) => services.includes(name));
    const calls = offering.flatMap(
      ({ figures }) => figures?.services.filter((service) => service.name === name) ?? [],
    );
    const latencies = calls.map((one) => one.latencies);
    const ready = offering.filter((node) => isReady(node, name)).length;
    return {
      name,
      status: healthOf(offering.length, ready),
      instances: offering.length,
      ready,
      calls: calls.reduce((sum, one) => sum + one.calls, 0),
      errors: calls.reduce((sum, one) => sum + one.errors, 0),
      p50_ms: percentile(latencies, 0.5),
      p99_ms: percentile(latencies, 0.99),
      open_circuits: circuits.filter(({ action }) => action.startsWith(`${name}.`)).length,
    };
  });
}

/** Whether a node can do the work of that service: what it lacks for another doesn't matter. */
function isReady({ figures }: NodeAnswer, service: string): boolean {
  if (figures?.stage !== "running") return false;
  return figures.checks.every((check) => check.ok || (check.service !== service && check.service !== "node"));
}

function salesOf({ currency, minutes }: OrderFigures): NonNullable<ShopStatus["sales"]> {
  return { currency, minutes: minutes.map((one) => ({ ...one, revenue: toDecimal(one.revenue) })) };
}

function sagasOf({ sagas }: OrderFigures): NonNullable<ShopStatus["sagas"]> {
  const count = (state: string) => sagas.find((one) => one.state === state)?.count ?? 0;
  return {
    running: count("running"),
    compensating: count("compensating"),
    waiting: count("waiting"),
    parked: count("parked"),
    stuck: sagas.reduce((sum, { stuck }) => sum + stuck, 0),
    oldest_s: Math.max(
      0,
      ...sagas.filter(({ state }) => state !== "waiting").map(({ oldest_s }) => oldest_s),
    ),
  };
}

type Queues = ResultOf<(typeof ordersContract.actions)["queueFigures"]>;

/** Queues of one name in several databases as one, each with its dead letters. */
function queuesOf(databases: readonly Queues[]): QueueOverview[] {
  const queues = new Map<string, QueueOverview>();
  for (const { queue: full, pending, scheduled, oldest_s } of databases.flatMap((one) => one.queues)) {
    const isDead = isDeadLetterQueue(full);
    const queue = isDead ? full.replace(/-dead$/, "") : full;
    const known = queues.get(queue) ?? { queue, pending: 0, scheduled: 0, dead: 0, oldest_s: 0 };
    queues.set(
      queue,
      isDead
        ? { ...known, dead: known.dead + pending + scheduled }
        : {
            ...known,
            pending: known.pending + pending,
            scheduled: known.scheduled + scheduled,
            oldest_s: Math.max(known.oldest_s, oldest_s),
          },
    );
  }
  return [...queues.values()].sort((a, b) => (a.queue < b.queue ? -1 : 1));
}
