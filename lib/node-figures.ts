import type { ServiceBroker } from "moleculer";
import { storesUp } from "./health.ts";
import type { Metrics, Sample } from "./metrics.ts";
import type { LookUps } from "./stores/memory-cacher.ts";
import type { Packets } from "./transporter.ts";

/** What this node's own parts count. */
export interface NodeCounts {
  /** undefined: alone, it sends none. */
  packets: Readonly<Packets> | undefined;
  lookUps: Readonly<LookUps>;
}

/** Has what this node knows of its stores, its cache and its packets told with its metrics. */
export function collectNodeFigures(
  broker: ServiceBroker,
  metrics: Metrics,
  { packets = { sent: 0, received: 0 }, lookUps }: NodeCounts,
): void {
  metrics.collect("stores", async () => await storeFigures(broker), 0);
  metrics.collect("cache", () => cacheFigures(lookUps), 0);
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

function cacheFigures({ asked, found }: Readonly<LookUps>): Sample[] {
  return (
    [
      ["hit", found],
      ["miss", asked - found],
    ] as const
  ).map(([result, value]) => ({ name: "molecart_cache_requests_total", labels: { result }, value }));
}
