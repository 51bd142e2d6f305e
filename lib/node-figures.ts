import type { ServiceBroker } from "moleculer";
import { storesUp } from "./health.ts";
import type { Metrics, Sample } from "./metrics.ts";
import type { Packets } from "./transporter.ts";

/** Has what this node knows of its stores, its cache and its packets told with its metrics. */
export function collectNodeFigures(
  broker: ServiceBroker,
  metrics: Metrics,
  packets: Readonly<Packets>,
): void {
  metrics.collect("stores", async () => await storeFigures(broker), 0);
  metrics.collect("cache", () => cacheFigures(broker), 0);
  metrics.collect("packets", () => packetFigures(packets), 0);
}

function packetFigures(packets: Readonly<Packets>): Sample[] {
  return (["sent", "received"] as const).map((direction) => ({
    name: "molecart_packets_total",
    labels: { direction },
    value: packets[direction],
  }));
}

async function storeFigures(broker: ServiceBroker): Promise<Sample[]> {
  return [...(await storesUp(broker))].map(([store, isUp]) => ({
    name: "molecart_store_up",
    labels: { store },
    value: isUp ? 1 : 0,
  }));
}

/** Both of Moleculer's cachers and ours count what was asked for and what was found. */
function cacheFigures(broker: ServiceBroker): Sample[] {
  const asked = counted(broker, "moleculer.cacher.get.total");
  const hits = counted(broker, "moleculer.cacher.found.total");
  return (
    [
      ["hit", hits],
      ["miss", asked - hits],
    ] as const
  ).map(([result, value]) => ({ name: "molecart_cache_requests_total", labels: { result }, value }));
}

function counted(broker: ServiceBroker, name: string): number {
  const value: unknown = broker.metrics.getMetric(name)?.get()?.value;
  return typeof value === "number" ? value : 0;
}
