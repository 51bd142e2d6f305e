import type {
  MinuteStatus,
  NodeStatus,
  QueueOverview,
  ServiceStatus,
  ShopStatus,
} from "../../services/gateway/status.contract.ts";
import { money } from "../lib/output.ts";
import { lastMinute, type Rate, RateMeter, sumOf, UNKNOWN } from "./rates.ts";

export type NodeService = NodeStatus["services"][number] & Rate;
export type NodeRates = Omit<NodeStatus, "services"> & Rate & { services: NodeService[] };
export type ServiceRates = ServiceStatus & Rate & { versions: string[] };

/** The shop at one moment, with what came of it since the moment before. */
export interface Snapshot extends Omit<ShopStatus, "nodes" | "services" | "sales"> {
  url: string;
  /** HTTP requests to all gateways. */
  requests_per_s: number | null;
  /** Calls of actions, on all nodes. */
  calls_per_s: number | null;
  /** Calls and requests that ended in a fault. */
  errors_per_s: number | null;
  nodes: NodeRates[];
  services: ServiceRates[];
  /** Within the last 60 s, and revenue in the currency's decimal units; null while orders doesn't answer. */
  sales: { currency: string; orders_per_minute: number; revenue_per_minute: number } | null;
  jobs: JobsOverview | null;
}

/** All queues together. */
export interface JobsOverview {
  pending: number;
  dead: number;
  /** s since the oldest job that is due was due */
  oldest_s: number;
}

/** What a screen shows beside a snapshot, and a script can add up itself. */
export interface Series {
  minutes: readonly MinuteStatus[];
  /** Requests and calls a second at the last looks, the newest last. */
  calls: readonly number[];
}

/** Looks that a screen can show in a row. */
const KEPT = 300;

/** Makes snapshots of one answer after the other. */
export class Snapshots {
  readonly #url: string;
  readonly #meter = new RateMeter();
  #last: { snapshot: Snapshot; series: Series } | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** @returns the last one where there is nothing new */
  take(status: ShopStatus): { snapshot: Snapshot; series: Series } {
    const rates = this.#meter.take(status);
    if (!rates && this.#last) return this.#last;
    const nodes = status.nodes.map((node) => {
      const known = rates?.get(node.id);
      const services = node.services.map((one) => ({ ...one, ...(known?.get(one.name) ?? UNKNOWN) }));
      return { ...node, ...sumOf(services), services };
    });
    const services = status.services.map((one) => {
      const instances = nodes.flatMap((node) => node.services.filter(({ name }) => name === one.name));
      return { ...one, ...sumOf(instances), versions: versionsOf(status.nodes, one.name) };
    });
    const isGateway = ({ name }: ServiceRates) => name === "gateway";
    const calls = sumOf(services.filter((one) => !isGateway(one)));
    const requests = sumOf(services.filter(isGateway));
    const { timestamp, sales, queues, ...rest } = status;
    const snapshot: Snapshot = {
      timestamp,
      url: this.#url,
      ...rest,
      requests_per_s: round(requests.calls_per_s),
      calls_per_s: round(calls.calls_per_s),
      errors_per_s: round(sumOf([requests, calls]).errors_per_s),
      nodes: nodes.map((node) => ({ ...rounded(node), services: node.services.map(rounded) })),
      services: services.map(rounded),
      sales: sales && salesOf(sales, Date.parse(timestamp)),
      queues,
      jobs: jobsOf(queues),
    };
    const before = this.#last?.series.calls ?? [];
    const now = calls.calls_per_s === null ? [] : [calls.calls_per_s];
    const series = { minutes: sales?.minutes ?? [], calls: [...before, ...now].slice(-KEPT) };
    this.#last = { snapshot, series };
    return this.#last;
  }
}

const round = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10);
function rounded<R extends Rate>(row: R): R {
  return { ...row, calls_per_s: round(row.calls_per_s), errors_per_s: round(row.errors_per_s) };
}

function salesOf({ currency, minutes }: NonNullable<ShopStatus["sales"]>, now: number): Snapshot["sales"] {
  return {
    currency,
    orders_per_minute: Math.round(lastMinute(minutes, "orders", now)),
    revenue_per_minute: Math.round(lastMinute(minutes, "revenue", now) * 100) / 100,
  };
}

export function jobsOf(queues: readonly QueueOverview[] | null): JobsOverview | null {
  if (!queues) return null;
  return {
    pending: queues.reduce((sum, { pending }) => sum + pending, 0),
    dead: queues.reduce((sum, { dead }) => sum + dead, 0),
    oldest_s: Math.max(0, ...queues.map(({ oldest_s }) => oldest_s)),
  };
}

/** The shop's versions of the nodes that run a service: two of them during an upgrade. */
export function versionsOf(nodes: readonly NodeStatus[], service: string): string[] {
  const running = nodes.filter(({ services }) => services.some(({ name }) => name === service));
  return [...new Set(running.flatMap(({ figures }) => (figures ? [figures.version] : [])))].sort();
}

/** `postgres ✓ 1.2 ms · nats ✗` */
export function storesText(stores: ShopStatus["stores"]): string {
  return stores
    .map(({ name, up, latency_ms }) => {
      const ms = latency_ms === null ? "" : ` ${latency_ms} ms`;
      return `${name} ${up ? "✓" : "✗"}${ms}`;
    })
    .join(" · ");
}

/** One line a look, for logs. */
export function snapshotLine(snapshot: Snapshot): string {
  const { timestamp, status, nodes, services, sales, sagas, jobs, low_stock, circuits } = snapshot;
  const gateway = services.find(({ name }) => name === "gateway");
  const rate = (value: number | null) => (value === null ? "-" : String(value));
  const ill = services.filter((one) => one.status !== "healthy").map(({ name }) => name);
  return [
    timestamp,
    status,
    `nodes ${nodes.filter(({ state }) => state === "ready").length}/${nodes.length}`,
    `requests/s ${rate(snapshot.requests_per_s)}`,
    `calls/s ${rate(snapshot.calls_per_s)}`,
    `p50 ${rate(gateway?.p50_ms ?? null)} ms`,
    `p99 ${rate(gateway?.p99_ms ?? null)} ms`,
    `errors/s ${rate(snapshot.errors_per_s)}`,
    `circuits ${circuits.length}`,
    ...(sales
      ? [`orders/min ${sales.orders_per_minute}`, `${money(sales.revenue_per_minute, sales.currency)}/min`]
      : []),
    ...(sagas ? [`stuck ${sagas.stuck}`, `parked ${sagas.parked}`] : []),
    ...(jobs ? [`dead ${jobs.dead}`] : []),
    ...(low_stock ? [`low stock ${low_stock.count}`] : []),
    ...(ill.length > 0 ? [`not healthy: ${ill.join(", ")}`] : []),
  ].join("  ");
}
