import type { ServiceBroker } from "moleculer";

/**
 * Parts of Moleculer that tell, at each start and stop, what a node is made of: of use to who looks for a fault, and to
 * nobody else. What matters of it {@link announce} says in one line.
 */
const CHATTY = ["BROKER", "REGISTRY", "METRICS"];

/** Moleculer's log levels by part, `**` being all others. */
export function logLevels(level: string): Record<string, string> {
  const chatty = level === "info" ? "warn" : level;
  return { ...Object.fromEntries(CHATTY.map((part) => [part, chatty])), "**": level };
}

/** Says what this node runs, once it does. */
export function announce(broker: ServiceBroker): void {
  const services = broker.services.map(({ name }) => name).filter((name) => !name.startsWith("$"));
  broker.getLogger("node").info(`Runs ${services.sort().join(", ")} after ${seconds(process.uptime())}`);
}

function seconds(time: number): string {
  return `${time.toFixed(1)} s`;
}
