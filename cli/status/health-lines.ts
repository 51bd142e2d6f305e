import type { NodeStatus, SagaOverview } from "../../services/gateway/status.contract.ts";
import type { HealthReport } from "../actions/health.ts";
import { bytes, duration, plural, table } from "../lib/output.ts";
import { storesText } from "./snapshot.ts";

/** How the shop's health is written, in the terminal as in a pipe. */

const MARKS = { healthy: "✓", degraded: "!", unhealthy: "✗" } as const;
const NODE_MARKS = { ready: "✓", "not ready": "✗", silent: "✗" } as const;

/** The report as lines of text. */
export function healthLines(report: HealthReport): string[] {
  const { url, status, ok, error } = report;
  return [
    `${url}: ${status}${ok ? "" : ": checkout can't work"}`,
    ...(error === undefined ? [] : [error]),
    ...withBlank(servicesTable(report)),
    ...withBlank(nodesTable(report.nodes ?? [])),
    "",
    ...factsOf(report).map(([name, text]) => `${name.padEnd(8)} ${text}`),
  ];
}

const withBlank = (lines: readonly string[]) => (lines.length > 0 ? ["", ...lines] : []);

/** A line a service, its header first; none where there is nothing. */
export function servicesTable({ services, nodes }: HealthReport): string[] {
  const entries = Object.entries(services);
  if (entries.length === 0) return [];
  if (!nodes) {
    const rows = entries.map(([name, { status, instances }]) => [MARKS[status], name, status, instances]);
    return table(["", "service", "status", "instances"], rows);
  }
  const rows = entries.map(([name, one]) => [
    MARKS[one.status],
    name,
    one.status,
    `${one.ready ?? 0} of ${one.instances}`,
    one.versions?.join(", ") ?? "",
    ms(one.p50_ms),
    ms(one.p99_ms),
    one.open_circuits ?? 0,
  ]);
  return table(["", "service", "status", "ready", "version", "p50", "p99", "open circuits"], rows);
}

const ms = (value: number | null | undefined) => (value == null ? "-" : `${value.toFixed(1)} ms`);

/** A line a node, its header first; none where there is nothing. */
export function nodesTable(nodes: readonly NodeStatus[]): string[] {
  if (nodes.length === 0) return [];
  const rows = nodes.map(({ id, state, figures, failing, services }) => [
    NODE_MARKS[state],
    id,
    state,
    figures ? duration(figures.uptime_s) : "-",
    figures ? bytes(figures.rss_bytes) : "-",
    figures ? ms(figures.event_loop_lag_ms) : "-",
    figures ? ms(figures.latency_ms) : "-",
    failing.join(", ") || String(services.length),
  ]);
  return table(["", "node", "state", "up", "memory", "lag", "latency", "runs"], rows);
}

/** What else there is, by name. */
export function factsOf({ gateway, stores, jobs, sagas, limited }: HealthReport): [string, string][] {
  return [
    ...fact("gateway", gateway && gatewayText(gateway)),
    ...fact("stores", stores && storesText(stores)),
    ...(stores ?? []).flatMap(({ failing }) => failing.map((one): [string, string] => ["", `✗ ${one}`])),
    ...fact("jobs", jobs && jobsText(jobs)),
    ...fact("sagas", sagas && sagasText(sagas)),
    ...fact("note", limited ?? null),
  ];
}

const fact = (name: string, text: string | null): [string, string][] => (text === null ? [] : [[name, text]]);

function gatewayText({ latency_ms, ready, failing }: NonNullable<HealthReport["gateway"]>): string {
  return `${latency_ms} ms, ${ready ? "ready" : `not ready: ${failing.join(", ")}`}`;
}

function jobsText({ pending, oldest_s, dead }: NonNullable<HealthReport["jobs"]>): string {
  const age = pending > 0 ? `, the oldest for ${duration(oldest_s)}` : "";
  return `${pending} due${age}, ${plural(dead, "dead letter")}`;
}

function sagasText({ running, compensating, waiting, stuck, parked }: SagaOverview): string {
  return `${running + compensating} under way, ${waiting} waiting, ${stuck} stuck, ${parked} parked`;
}

/** One line a look, for logs. */
export function summaryLine({ checked_at, status, services, gateway, error }: HealthReport): string {
  const ill = Object.entries(services).flatMap(([name, one]) => (one.status === "healthy" ? [] : [name]));
  const parts = [
    checked_at,
    status,
    ...(gateway ? [`${gateway.latency_ms} ms`] : []),
    ...(ill.length > 0 ? [`not healthy: ${ill.join(", ")}`] : []),
    ...(error === undefined ? [] : [error]),
  ];
  return parts.join("  ");
}
