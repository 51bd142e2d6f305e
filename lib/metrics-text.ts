import type { ServiceBroker } from "moleculer";
import type { Histogram, Series } from "./histogram.ts";
import type { Sample } from "./metrics.ts";
import { declarationOf, type MetricName } from "./metrics-catalogue.ts";

/**
 * Prometheus text from Moleculer's metrics registry, our histograms, and what was read for this scrape. Moleculer's own reporter is left
 * out: it opens an unauthenticated port on every interface, writes no `_sum` and `_count` of a histogram without
 * quantiles, and sorts a minute of samples at each scrape.
 */

/** What the registry knows of the machine and its user is nobody's business who may scrape. */
const PRIVATE = [
  "process.arguments",
  "os.user.",
  "os.network.",
  "os.hostname",
  "os.datetime.",
  "os.cpu.info.",
];

type Labels = Record<string, unknown>;

/** What Moleculer keeps of one combination of labels. */
interface Item {
  labels?: Labels;
  value?: unknown;
  sum?: number;
  count?: number;
  bucketValues?: Record<string, number>;
}

/**
 * @param histograms in ms, by name
 * @param read what gauges and the like are right now
 */
export function metricsText(
  broker: ServiceBroker,
  histograms: ReadonlyMap<MetricName, Histogram<Labels>>,
  read: readonly Sample[],
): string {
  const common = { namespace: broker.namespace, node: broker.nodeID };
  const lines: string[] = [];
  for (const metric of broker.metrics.store.values()) {
    if (metric.values.size === 0 || PRIVATE.some((prefix) => metric.name.startsWith(prefix))) continue;
    const name = metric.name.replace(/[^a-zA-Z0-9_:]/g, "_");
    lines.push(
      ...head(name, metric.type === "info" ? "gauge" : metric.type, metric.description ?? metric.name),
    );
    for (const item of metric.values.values()) lines.push(...samples(name, metric.type, item, common));
  }
  for (const [name, histogram] of histograms) {
    if (histogram.all.length > 0) lines.push(...head(name, "histogram", declarationOf(name).help));
    for (const series of histogram.all) lines.push(...seconds(name, histogram.bounds, series, common));
  }
  const byName = Map.groupBy(read, ({ name }) => name);
  for (const [name, values] of byName) {
    const { type, help } = declarationOf(name);
    lines.push(...head(name, type, help));
    for (const { labels, value } of values)
      lines.push(`${name}${labelText({ ...common, ...labels })} ${value}`);
  }
  return `${lines.join("\n")}\n`;
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, " ")}`, `# TYPE ${name} ${type}`];
}

function samples(name: string, type: string, item: Item, common: Labels): string[] {
  const labels = { ...common, ...item.labels };
  if (type === "info") return [`${name}${labelText({ ...labels, value: item.value })} 1`];
  if (type !== "histogram") return [`${name}${labelText(labels)} ${numberText(item.value)}`];
  const buckets = Object.entries(item.bucketValues ?? {}).sort(([a], [b]) => Number(a) - Number(b));
  return [
    ...buckets.map(([le, count]) => `${name}_bucket${labelText({ ...labels, le })} ${count}`),
    `${name}_bucket${labelText({ ...labels, le: "+Inf" })} ${item.count ?? 0}`,
    `${name}_sum${labelText(labels)} ${item.sum ?? 0}`,
    `${name}_count${labelText(labels)} ${item.count ?? 0}`,
  ];
}

/** A series of ms. */
function seconds(name: string, bounds: readonly number[], series: Series<Labels>, common: Labels): string[] {
  const labels = { ...common, ...series.labels };
  let upTo = 0;
  const buckets = [...bounds.map((ms) => ms / 1000), "+Inf"].map((le, bucket) => {
    upTo += series.counts[bucket] ?? 0;
    return `${name}_bucket${labelText({ ...labels, le })} ${upTo}`;
  });
  return [
    ...buckets,
    `${name}_sum${labelText(labels)} ${series.sum / 1000}`,
    `${name}_count${labelText(labels)} ${series.count}`,
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
