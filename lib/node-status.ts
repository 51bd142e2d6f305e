import type { ServiceBroker, ServiceSchema } from "moleculer";
import Type, { type Static } from "typebox";
import packageJson from "../package.json" with { type: "json" };
import { callFigures } from "./call-figures.ts";
import { recentChecks, SERVERS, type StoreCheck } from "./health.ts";
import { isStopping } from "./lifecycle.ts";
import { Obj } from "./schema.ts";
import { PERIOD, Vitals } from "./vitals.ts";

/** What every node answers of itself to whoever collects the shop's status: `$node.figures`. */
export const NODE_FIGURES = "$node.figures";

const Count = Type.Integer({ minimum: 0 });

export const NodeFigures = Obj({
  version: Type.String(),
  node_version: Type.String(),
  uptime_s: Type.Number(),
  cpu_percent: Type.Number(),
  rss_bytes: Count,
  event_loop_lag_ms: Type.Number(),
  /** "starting" or "stopping"; else what its stores say. */
  stage: Type.Enum(["starting", "running", "stopping"]),
  checks: Type.Array(
    Obj({
      service: Type.String(),
      store: Type.String(),
      server: Type.Enum(SERVERS),
      ok: Type.Boolean(),
      ms: Type.Number(),
    }),
  ),
  /** Since the process began; latencies of the last seconds, as {@link LatencyWindow} has them. */
  services: Type.Array(
    Obj({
      name: Type.String(),
      calls: Count,
      errors: Count,
      latencies: Type.Array(Type.Tuple([Count, Count])),
    }),
  ),
  /** Whom this node leaves alone for now. */
  circuits: Type.Array(Obj({ node: Type.String(), action: Type.String() })),
  /** ms that this answer took here: what is left of its round trip is the way. */
  took_ms: Type.Number(),
});
export type NodeFigures = Static<typeof NodeFigures>;

interface Watch {
  vitals: Vitals;
  timer: NodeJS.Timeout;
}
const watches = new WeakMap<ServiceBroker, Watch>();

/** Begins to keep the figures of a node; from its making to {@link endFigures}. */
export function beginFigures(broker: ServiceBroker): void {
  const vitals = new Vitals();
  const timer = setInterval(() => {
    vitals.turn();
    for (const { latencies } of callFigures(broker).values()) latencies.turn();
  }, PERIOD);
  timer.unref();
  watches.set(broker, { vitals, timer });
}

export function endFigures(broker: ServiceBroker): void {
  const watch = watches.get(broker);
  if (!watch) return;
  clearInterval(watch.timer);
  watch.vitals.stop();
}

async function figuresOf(broker: ServiceBroker): Promise<NodeFigures> {
  const started = performance.now();
  const vitals = watches.get(broker)?.vitals;
  const checks: StoreCheck[] = await recentChecks(broker);
  return {
    version: packageJson.version,
    node_version: process.versions.node,
    uptime_s: Math.round(process.uptime()),
    cpu_percent: vitals?.cpu ?? 0,
    rss_bytes: vitals?.rss ?? 0,
    event_loop_lag_ms: vitals?.eventLoopLag ?? 0,
    stage: isStopping(broker) ? "stopping" : broker.started ? "running" : "starting",
    checks,
    services: [...callFigures(broker)].map(([name, { calls, errors, latencies }]) => ({
      name,
      calls,
      errors,
      latencies: latencies.counts(),
    })),
    circuits: openCircuits(broker),
    took_ms: performance.now() - started,
  };
}

/** Moleculer's circuit breaker shows its state by endpoint: an endpoint whose circuit is open is given no calls. */
function openCircuits(broker: ServiceBroker): NodeFigures["circuits"] {
  const store: unknown = Reflect.get(broker, "CircuitBreakerStore");
  if (!(store instanceof Map)) return [];
  return [...store.values()].flatMap(({ ep, state }) =>
    state === "open" || state === "half_open_wait"
      ? [{ node: String(ep.id), action: String(ep.action.name) }]
      : [],
  );
}

/** Moleculer's own `$node` service, which every node has, with our figures beside its own. */
export function nodeService(): { $node: Partial<ServiceSchema> } {
  return {
    $node: {
      name: "$node",
      actions: {
        figures: {
          cache: false,
          tracing: false,
          // Whoever asks wants to see a node that doesn't answer, each time.
          circuitBreaker: { enabled: false },
          handler: async (ctx: { broker: ServiceBroker }) => await figuresOf(ctx.broker),
        },
      },
    },
  };
}
