import type { ServiceBroker } from "moleculer";
import { LatencyWindow } from "./latency-window.ts";

/**
 * What each service of this node was asked, for live screens: counted here and not read from Moleculer's metrics, whose
 * percentiles are of no window and whose labels are many.
 */
export interface ServiceCalls {
  calls: number;
  /** Those that ended in a fault: a refusal (any 4xx) is an answer. */
  errors: number;
  /** ms of the last calls. */
  readonly latencies: LatencyWindow;
}

const nodes = new WeakMap<ServiceBroker, Map<string, ServiceCalls>>();

/** Where the calls of a service of this node are counted: whoever counts each one keeps it. */
export function callsOf(broker: ServiceBroker, service: string): ServiceCalls {
  let services = nodes.get(broker);
  if (!services) {
    services = new Map();
    nodes.set(broker, services);
  }
  let calls = services.get(service);
  if (!calls) {
    calls = { calls: 0, errors: 0, latencies: new LatencyWindow() };
    services.set(service, calls);
  }
  return calls;
}

/** Notes a call that this node has answered. @param ms that it took */
export function noteCall(calls: ServiceCalls, ms: number, isFault: boolean): void {
  calls.calls++;
  if (isFault) calls.errors++;
  calls.latencies.add(ms);
}

/** By service. */
export function callFigures(broker: ServiceBroker): ReadonlyMap<string, ServiceCalls> {
  return nodes.get(broker) ?? new Map();
}

/** Whether an error means that something is wrong with the shop, and not with what was asked. */
export function isFault(error: unknown): boolean {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return !(typeof code === "number" && code >= 400 && code < 500);
}
