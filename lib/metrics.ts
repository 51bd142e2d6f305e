import { monitorEventLoopDelay } from "node:perf_hooks";
import type { ServiceBroker } from "moleculer";

/**
 * Prometheus text from Moleculer's metrics registry, to be served wherever the node serves it. Moleculer's own reporter
 * is left out: it opens an unauthenticated port on every interface, writes no `_sum` and `_count` of a histogram without
 * quantiles, and sorts a minute of samples at each scrape.
 */

/** Answers of the gateway, observed in ms. Labels: `method`, `route` (the template, never the URL), `status`. */
export const HTTP_DURATION = "molecart.http.request.duration.seconds";
/** How long the event loop made a timer wait since the last scrape. Label: `quantile`. */
const LOOP_DELAY = "molecart.eventloop.delay.seconds";

/** ms, told as seconds: whole numbers make the registry's look-up of a bucket several times as fast. */
const BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
const MS_AS_SECONDS = new Set([HTTP_DURATION]);

/** What the registry knows of the machine and its user is nobody's business who may scrape. */
const PRIVATE = [
  "process.arguments",
  "os.user.",
  "os.network.",
  "os.hostname",
  "os.datetime.",
  "os.cpu.info.",
];

const loopDelay = monitorEventLoopDelay({ resolution: 20 });

/** Registers the shop's own metrics with the node's registry. Once a node. */
export function declareMetrics(broker: ServiceBroker): void {
  loopDelay.enable();
  broker.metrics.register({
    type: "histogram",
    name: HTTP_DURATION,
    description: "Time from the request's head to the answer's end",
    labelNames: ["method", "route", "status"],
    buckets: BUCKETS,
  });
  broker.metrics.register({
    type: "gauge",
    name: LOOP_DELAY,
    description: "Delay of the event loop since the last scrape",
    labelNames: ["quantile"],
  });
}

function updateLoopDelay(broker: ServiceBroker): void {
  const quantiles = {
    "0.5": loopDelay.percentile(50),
    "0.99": loopDelay.percentile(99),
    "1": loopDelay.max,
  };
  for (const [quantile, nanoseconds] of Object.entries(quantiles)) {
    broker.metrics.set(LOOP_DELAY, nanoseconds / 1e9, { quantile });
  }
  loopDelay.reset();
}

type Labels = Record<string, unknown>;

/** What Moleculer keeps of one combination of labels. */
interface Item {
  labels?: Labels;
  value?: unknown;
  sum?: number;
  count?: number;
  bucketValues?: Record<string, number>;
}

/** The node's metrics in Prometheus' text format 0.0.4. */
export function metricsText(broker: ServiceBroker): string {
  updateLoopDelay(broker);
  const common = { namespace: broker.namespace, node: broker.nodeID };
  const lines: string[] = [];
  for (const metric of broker.metrics.store.values()) {
    if (metric.values.size === 0 || PRIVATE.some((prefix) => metric.name.startsWith(prefix))) continue;
    const name = metric.name.replace(/[^a-zA-Z0-9_:]/g, "_");
    const help = metric.description ?? metric.name;
    lines.push(
      `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, " ")}`,
      `# TYPE ${name} ${metric.type === "info" ? "gauge" : metric.type}`,
    );
    const scale = MS_AS_SECONDS.has(metric.name) ? 1000 : 1;
    for (const item of metric.values.values()) lines.push(...samples(name, metric.type, item, common, scale));
  }
  return `${lines.join("\n")}\n`;
}

/** @param scale what a histogram's values are divided by */
function samples(name: string, type: string, item: Item, common: Labels, scale: number): string[] {
  const labels = { ...common, ...item.labels };
  if (type === "info") return [`${name}${labelText({ ...labels, value: item.value })} 1`];
  if (type !== "histogram") return [`${name}${labelText(labels)} ${numberText(item.value)}`];
  const buckets = Object.entries(item.bucketValues ?? {}).sort(([a], [b]) => Number(a) - Number(b));
  return [
    ...buckets.map(
      ([le, count]) => `${name}_bucket${labelText({ ...labels, le: Number(le) / scale })} ${count}`,
    ),
    `${name}_bucket${labelText({ ...labels, le: "+Inf" })} ${item.count ?? 0}`,
    `${name}_sum${labelText(labels)} ${(item.sum ?? 0) / scale}`,
    `${name}_count${labelText(labels)} ${item.count ?? 0}`,
  ];
}

function numberText(value: unknown): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  return typeof value === "number" ? String(value) : "NaN";
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${key.replace(/[^a-zA-Z0-9_]/g, "_")}="${escapeLabel(String(value))}"`);
  return `{${pairs.join(",")}}`;
}

const escapeLabel = (value: string) =>
  value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
