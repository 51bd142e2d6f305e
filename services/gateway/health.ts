import type { ServiceBroker } from "moleculer";
import { failingChecks } from "../../lib/health.ts";
import { contracts } from "../contracts.ts";
import type { Health } from "./gateway.contract.ts";

/** Without one of these nobody can buy; without the others the shop still sells. */
const CHECKOUT = new Set(["auth", "users", "products", "inventory", "orders", "payments"]);

type State = Health["status"];

/** The state of a service, by how many instances there are and how many of them can work. */
export function healthOf(instances: number, ready: number): State {
  if (ready === 0) return "unhealthy";
  return ready < instances ? "degraded" : "healthy";
}

/** The state of the shop, by its services': without one that the checkout needs, nobody can buy. */
export function shopStatusOf(services: readonly { name: string; status: State }[]): State {
  if (services.some(({ name, status }) => status === "unhealthy" && CHECKOUT.has(name))) return "unhealthy";
  return services.some(({ status }) => status !== "healthy") ? "degraded" : "healthy";
}

/**
 * The state of each service, as this node sees it: how many nodes offer it, and whether the stores of those that run
 * here answer. (A node elsewhere whose store is away says so by its own readiness.)
 */
export async function shopHealth(broker: ServiceBroker): Promise<Health> {
  const failing = new Set((await failingChecks(broker)).map(({ service }) => service));
  const instances = new Map<string, number>();
  for (const { name } of broker.registry.getServiceList({ onlyAvailable: true, skipInternal: true })) {
    instances.set(name, (instances.get(name) ?? 0) + 1);
  }
  const services: Health["services"] = {};
  for (const { name } of contracts) {
    const count = instances.get(name) ?? 0;
    const works = count > 0 && !failing.has(name);
    services[name] = { status: works ? "healthy" : "unhealthy", instances: count };
  }
  const status = shopStatusOf(Object.entries(services).map(([name, one]) => ({ name, status: one.status })));
  return { status, services, timestamp: new Date().toISOString() };
}
