import type { ServiceBroker } from "moleculer";
import type { Config } from "./config.ts";
import { Histogram, type Series } from "./histogram.ts";
import {
  type CounterName,
  declarationOf,
  type HistogramName,
  type LabelsOf,
  type MetricName,
  metricNames,
  type ReadName,
} from "./metrics-catalogue.ts";
import { metricsText } from "./metrics-text.ts";
import { atMost } from "./waiting.ts";

/** What {@link Metrics.collect} brings: one value of a gauge. */
export type Sample = {
  [N in ReadName]: { name: N; labels: LabelsOf<N>; value: number };
}[ReadName];

/** For what counts, and needn't know more. */
export type Counting = Pick<Metrics, "count" | "observe">;

/** ms a figure is good for: however many scrape, a store is asked no more often. */
const FRESH = 15_000;
/** ms a scrape waits for figures; then it is given the last ones. */
const PATIENCE = 1_000;
/** ms after which a figure that could not be read again is told no more. */
const STALE = 90_000;
const NEVER = Number.NEGATIVE_INFINITY;

interface Source {
  read: () => Promise<readonly Sample[]> | readonly Sample[];
  /** ms */
  fresh: number;
  samples: readonly Sample[];
  readAt: number;
  triedAt: number;
  reading?: Promise<void>;
}

/**
 * A node's metrics: those of the catalogue, their counters kept in Moleculer's registry beside its own. Where nobody can
 * scrape the node, these count nothing.
 */
export class Metrics {
  readonly #broker: ServiceBroker;
  readonly #histograms = new Map<MetricName, Histogram<LabelsOf<HistogramName>>>();
  readonly #sources = new Map<string, Source>();

  /** @param runs whether this node runs a service: its metrics are there from the start */
  constructor(broker: ServiceBroker, runs: (service: string) => boolean) {
    this.#broker = broker;
    leaveOutUnread(broker);
    for (const name of metricNames) {
      const declared = declarationOf(name);
      if (declared.type === "gauge" || "read" in declared) continue;
      const labelNames = Object.keys(declared.labels);
      if (declared.type === "histogram") {
        this.#histograms.set(name, new Histogram(labelNames, declared.buckets));
        continue;
      }
      broker.metrics.register({ name, description: declared.help, labelNames, type: "counter" });
      if (declared.owner && !runs(declared.owner)) continue;
      for (const labels of combinations(declared.labels)) broker.metrics.increment(name, labels, 0);
    }
  }

  count<N extends CounterName>(name: N, labels: LabelsOf<N>, by = 1): void {
    this.#broker.metrics.increment(name, labels, by);
  }

  /** @param ms told as seconds */
  observe<N extends HistogramName>(name: N, ms: number, labels: LabelsOf<N>): void {
    this.series(name, labels)?.observe(ms);
  }

  /** What takes the observations under these labels, in ms: for those who have one with every call. */
  series<N extends HistogramName>(name: N, labels: LabelsOf<N>): Series<LabelsOf<HistogramName>> | undefined {
    return this.#histograms.get(name)?.series(labels);
  }

  /**
   * Has `read` bring figures when the node is scraped, at most every 15 s. Of several sources under one key the first
   * is asked: services that share a database read its queues once.
   */
  collect(key: string, read: Source["read"], fresh = FRESH): void {
    if (this.#sources.has(key)) return;
    this.#sources.set(key, { read, fresh, samples: [], readAt: NEVER, triedAt: NEVER });
  }

  /** The node's metrics in Prometheus' text format 0.0.4. Takes a second at most, whatever is away. */
  async text(): Promise<string> {
    const now = performance.now();
    const readings = [...this.#sources.values()].flatMap((source) => this.#refresh(source, now));
    if (readings.length > 0) await atMost(PATIENCE, Promise.all(readings));
    const samples = [...this.#sources.values()]
      .filter(({ readAt }) => performance.now() - readAt < STALE)
      .flatMap((source) => source.samples);
    return metricsText(this.#broker, this.#histograms, samples);
  }

  #refresh(source: Source, now: number): Promise<void>[] {
    if (!source.reading && now - source.triedAt >= source.fresh) {
      source.triedAt = now;
      source.reading = this.#read(source).finally(() => {
        delete source.reading;
      });
    }
    return source.reading ? [source.reading] : [];
  }

  async #read(source: Source): Promise<void> {
    try {
      source.samples = await source.read();
      source.readAt = performance.now();
    } catch (error) {
      this.#broker.logger.debug("Could not read figures", { error: String(error) });
    }
  }
}

/**
 * Takes from Moleculer's own metrics what costs at each call and tells nothing: how long each look-up of the cache takes,
 * how fast each count grows, and the samples of times for quantiles. The last two are Prometheus' to work out.
 */
function leaveOutUnread({ metrics }: ServiceBroker): void {
  for (const metric of metrics.store.values()) {
    Reflect.set(metric, "rate", false);
    Reflect.deleteProperty(metric, "quantiles");
  }
  const lookUps = metrics.getMetric("moleculer.cacher.get.time");
  if (lookUps) Object.assign(lookUps, { observe: () => undefined });
}

/** Every combination of labels whose values are all known; none if one is open. */
function combinations(labels: Readonly<Record<string, readonly string[] | null>>): Record<string, string>[] {
  let all: Record<string, string>[] = [{}];
  for (const [label, values] of Object.entries(labels)) {
    all = all.flatMap((one) => (values ?? []).map((value) => ({ ...one, [label]: value })));
  }
  return all;
}

/** Whether anybody can scrape this node: on a port of its own, or, embedded, on the gateway's. */
export function isScraped({ embedded, METRICS_PORT }: Pick<Config, "embedded" | "METRICS_PORT">): boolean {
  return embedded || METRICS_PORT !== undefined;
}

const nodes = new WeakMap<ServiceBroker, Metrics>();

/** Once a node, where its broker is made. */
export function provideMetrics(broker: ServiceBroker, metrics: Metrics): void {
  nodes.set(broker, metrics);
}

export function metricsOf(broker: ServiceBroker): Metrics {
  const metrics = nodes.get(broker);
  if (!metrics) throw new Error("This broker was not made by brokerOptions(): it has no metrics.");
  return metrics;
}
