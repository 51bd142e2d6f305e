import { readdir } from "node:fs/promises";
import { constants, monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import type { Metrics, Sample } from "./metrics.ts";

/** Figures of this process that Moleculer doesn't have. They belong to the process, however many nodes are in it. */

/** ms */
const WINDOW = 30_000;
const RESOLUTION = 20;

/**
 * The event loop's delay over the last one to two windows, whoever reads it and how often: of two histograms the older
 * is told, and at each window's end begins anew.
 */
class LoopDelay {
  #told = monitorEventLoopDelay({ resolution: RESOLUTION });
  #next = monitorEventLoopDelay({ resolution: RESOLUTION });

  constructor() {
    this.#told.enable();
    this.#next.enable();
    setInterval(() => {
      this.#told.reset();
      [this.#told, this.#next] = [this.#next, this.#told];
    }, WINDOW).unref();
  }

  samples(): Sample[] {
    const quantiles = [
      ["0.5", this.#told.percentile(50)],
      ["0.99", this.#told.percentile(99)],
      ["1", this.#told.max],
    ] as const;
    return quantiles.map(([quantile, nanoseconds]) => ({
      name: "molecart_eventloop_delay_seconds",
      labels: { quantile },
      value: nanoseconds / 1e9,
    }));
  }
}

const KINDS = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
  [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, "weakcb"],
] as const);

/** Seconds spent in garbage collections since this was made. */
class GarbageCollections {
  readonly #seconds = new Map([...KINDS.values()].map((kind) => [kind, 0]));

  constructor() {
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const kind = KINDS.get(kindOf(entry));
        if (kind) this.#seconds.set(kind, (this.#seconds.get(kind) ?? 0) + entry.duration / 1000);
      }
    }).observe({ entryTypes: ["gc"] });
  }

  samples(): Sample[] {
    return [...this.#seconds].map(([kind, value]) => ({
      name: "molecart_gc_seconds_total",
      labels: { kind },
      value,
    }));
  }
}

function kindOf(entry: object): number {
  const detail = "detail" in entry ? entry.detail : null;
  if (typeof detail !== "object" || detail === null || !("kind" in detail)) return 0;
  return typeof detail.kind === "number" ? detail.kind : 0;
}

/** Absent where the system doesn't tell. */
async function openFiles(): Promise<Sample[]> {
  const open = await readdir("/proc/self/fd").catch(() => undefined);
  return open ? [{ name: "process_open_fds", labels: {}, value: open.length }] : [];
}

function cpu(): Sample {
  const { user, system } = process.cpuUsage();
  return { name: "process_cpu_seconds_total", labels: {}, value: (user + system) / 1e6 };
}

let delay: LoopDelay | undefined;
let collections: GarbageCollections | undefined;

/** Has this process's figures told with a node's metrics. */
export function collectProcessFigures(metrics: Metrics): void {
  delay ??= new LoopDelay();
  collections ??= new GarbageCollections();
  const [loop, gc] = [delay, collections];
  metrics.collect(
    "process",
    async () => [...loop.samples(), ...gc.samples(), cpu(), ...(await openFiles())],
    0,
  );
}
