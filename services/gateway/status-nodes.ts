import type { ServiceBroker } from "moleculer";
import { Compile } from "typebox/compile";
import { percentile } from "../../lib/latency-window.ts";
import { NODE_FIGURES, NodeFigures } from "../../lib/node-status.ts";
import { isGuest } from "../../lib/seal.ts";
import type { NodeStatus, StoreStatus } from "./status.contract.ts";

/** ms that a node may take to answer for itself. */
const TIMEOUT = 700;
/** ms for which a node that was lost is shown. */
const LOST_FOR = 600_000;

const figures = Compile(NodeFigures);

/** A node, and what it said. */
export interface NodeAnswer {
  id: string;
  services: readonly string[];
  figures: NodeFigures | undefined;
  /** ms there and back. */
  latency: number;
}

interface Lost {
  services: readonly string[];
  at: number;
}

/** Nodes that went without a word. One that was asked to stop, and said so, is none of them. */
export class LostNodes {
  readonly #lost = new Map<string, Lost>();

  lose(id: string, services: readonly string[], now: number): void {
    this.#forget(now);
    if (!isGuest(id)) this.#lost.set(id, { services, at: now });
  }

  found(id: string): void {
    this.#lost.delete(id);
  }

  list(now: number): NodeAnswer[] {
    this.#forget(now);
    return [...this.#lost].map(([id, { services }]) => ({ id, services, figures: undefined, latency: 0 }));
  }

  #forget(now: number): void {
    for (const [id, { at }] of this.#lost) if (now - at > LOST_FOR) this.#lost.delete(id);
  }
}

/** Asks every node for its figures, all at once. One that doesn't answer in time is there without them. */
export async function askNodes(broker: ServiceBroker, lost: LostNodes): Promise<NodeAnswer[]> {
  const nodes = broker.registry.getNodeList({ onlyAvailable: true, withServices: true });
  const known = nodes
    .filter(({ id }) => !isGuest(String(id)))
    .map(({ id, services }) => ({ id: String(id), services: serviceNames(services) }));
  const answers = await Promise.all(known.map((node) => askNode(broker, node)));
  const ids = new Set(known.map(({ id }) => id));
  return [...answers, ...lost.list(performance.now()).filter(({ id }) => !ids.has(id))];
}

/** The names in a node's list of services, without Moleculer's own. */
export function serviceNames(services: unknown): string[] {
  if (!Array.isArray(services)) return [];
  return services.flatMap((service) => {
    const name: unknown = service?.name;
    return typeof name === "string" && !name.startsWith("$") ? [name] : [];
  });
}

async function askNode(
  broker: ServiceBroker,
  node: Pick<NodeAnswer, "id" | "services">,
): Promise<NodeAnswer> {
  const started = performance.now();
  try {
    const answer: unknown = await broker.call(NODE_FIGURES, {}, { nodeID: node.id, timeout: TIMEOUT });
    const latency = performance.now() - started;
    // A node of another version may say other things.
    return { ...node, figures: figures.Check(answer) ? answer : undefined, latency };
  } catch {
    return { ...node, figures: undefined, latency: 0 };
  }
}

export function nodeStatus({ id, services, figures: said, latency }: NodeAnswer): NodeStatus {
  if (!said)
    return { id, state: "silent", failing: [], services: services.map(silentService), figures: null };
  const { stage, checks, took_ms } = said;
  const failing = [
    ...(stage === "running" ? [] : [stage]),
    ...checks.flatMap(({ ok, service, store }) => (ok ? [] : [`${service}: ${store}`])),
  ];
  const calls = new Map(said.services.map((one) => [one.name, one]));
  return {
    id,
    state: failing.length > 0 ? "not ready" : "ready",
    failing,
    services: services.map((name) => {
      const own = calls.get(name);
      if (!own) return silentService(name);
      return {
        name,
        calls: own.calls,
        errors: own.errors,
        p50_ms: percentile([own.latencies], 0.5),
        p99_ms: percentile([own.latencies], 0.99),
      };
    }),
    figures: {
      version: said.version,
      node_version: said.node_version,
      uptime_s: said.uptime_s,
      cpu_percent: said.cpu_percent,
      rss_bytes: said.rss_bytes,
      event_loop_lag_ms: said.event_loop_lag_ms,
      latency_ms: round(Math.max(0, latency - took_ms)),
    },
  };
}

const silentService = (name: string) => ({ name, calls: 0, errors: 0, p50_ms: null, p99_ms: null });

/** Each server that a node has something in, as its nodes find it. */
export function storeStatus(nodes: readonly NodeAnswer[]): StoreStatus[] {
  const checks = nodes.flatMap(({ id, figures: said }) =>
    (said?.checks ?? []).map((check) => ({ node: id, ...check })),
  );
  return [...Map.groupBy(checks, ({ server }) => server)].map(([name, own]) => {
    // What else a node was doing is no round trip: of each node the quickest counts.
    const quickest = [...Map.groupBy(own, ({ node }) => node).values()].flatMap((ofNode) => {
      const times = ofNode.flatMap(({ ok, ms }) => (ok ? [ms] : []));
      return times.length > 0 ? [Math.min(...times)] : [];
    });
    const failing = own.filter(({ ok }) => !ok);
    return {
      name,
      up: failing.length === 0,
      latency_ms: quickest.length > 0 ? round(Math.max(...quickest)) : null,
      failing: failing.map(({ node, service, store }) => `${node} ${service}: ${store}`),
    };
  });
}

const round = (ms: number) => Math.round(ms * 10) / 10;
