import type { NodeStatus, ServiceStatus, ShopStatus } from "../../services/gateway/status.contract.ts";

/** ms since 1970 of {@link aStatus}: 2026-11-20T10:00:00Z */
export const AT = Date.UTC(2026, 10, 20, 10);

type Calls = Pick<ServiceStatus, "calls" | "errors">;

/** A node that is well. @param services what it was asked since it began @param uptime s */
export function aNode(id: string, services: Record<string, Calls>, uptime = 100): NodeStatus {
  return {
    id,
    state: "ready",
    failing: [],
    services: Object.entries(services).map(([name, calls]) => ({ name, ...calls, p50_ms: 2.5, p99_ms: 40 })),
    figures: {
      version: "0.1.0",
      node_version: "24.0.0",
      uptime_s: uptime,
      cpu_percent: 12.5,
      rss_bytes: 200e6,
      event_loop_lag_ms: 3,
      latency_ms: 0.8,
    },
  };
}

/** What `GET /api/admin/status` answers of nodes that are well, its services' figures added up. */
export function aStatus(given: Partial<ShopStatus> & Pick<ShopStatus, "nodes">): ShopStatus {
  const names = [...new Set(given.nodes.flatMap(({ services }) => services.map(({ name }) => name)))];
  return {
    status: "healthy",
    stores: [{ name: "postgres", up: true, latency_ms: 1.2, failing: [] }],
    services: names.map((name) => {
      const own = given.nodes.flatMap(({ services }) => services.filter((one) => one.name === name));
      const sum = (figure: keyof Calls) => own.reduce((total, one) => total + one[figure], 0);
      return {
        ...{ name, status: "healthy", instances: own.length, ready: own.length, open_circuits: 0 },
        ...{ calls: sum("calls"), errors: sum("errors"), p50_ms: 2.5, p99_ms: 40 },
      };
    }),
    circuits: [],
    sales: { currency: "EUR", minutes: [] },
    sagas: { running: 0, compensating: 0, waiting: 0, parked: 0, stuck: 0, oldest_s: 0 },
    queues: [],
    low_stock: { threshold: 5, count: 0, products: [] },
    not_asked: [],
    timestamp: new Date(AT).toISOString(),
    ...given,
  };
}
