import { gatewayContract, Health } from "../../services/gateway/gateway.contract.ts";
import { ordersContract } from "../../services/orders/orders.contract.ts";
import { type Client, createClient } from "../lib/client.ts";
import { Cancelled, CliError, EXIT } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { bytes, duration, table } from "../lib/output.ts";
import { waited } from "../lib/patience.ts";
import { parseMetrics, sampleValue } from "../lib/prometheus.ts";
import { findShop, openSession, type Session } from "../lib/session.ts";

export interface HealthOptions extends CommonOptions {
  watch?: boolean;
  /** Seconds between two looks. */
  interval: number;
}

/** ms for each of the few calls of one look. */
const TIMEOUT = 2500;

export interface HealthReport {
  /** Whether checkout can work. */
  ok: boolean;
  status: Health["status"] | "down";
  url: string;
  services: Health["services"];
  /** Why it is down. */
  error?: string;
  /** ms until the gateway answered for the whole shop, and what it isn't ready for. */
  gateway: { latency_ms: number; ready: boolean; failing: string[] } | null;
  /** The gateway's node, where it shows its metrics. Uptime and delays in seconds, memory in bytes. */
  node: NodeReport | null;
  /** Where we are an admin. */
  sagas: { under_way: number; parked: number } | null;
  checked_at: string;
}

interface NodeReport {
  id: string;
  node_version: string | null;
  uptime: number | null;
  rss: number | null;
  loop_delay_p99: number | null;
}

/** Shows the shop's health, once or again and again. @returns the exit code */
export async function health(options: HealthOptions, io: Io): Promise<number> {
  const { url } = await findShop(options, io.env);
  const anonymous = createClient(url, { signal: io.signal });
  // Whoever watches wants to see it come up.
  if (!options.watch) await anonymous.reach();
  // What only an admin sees is left out for others, and not asked for again.
  const session = await openSession(options, io).catch(ignoreRefusal);
  const client = session?.client ?? anonymous;
  try {
    if (options.watch) return await watch(options, client, session !== undefined, io);
    const report = await look(client, session !== undefined);
    if (options.json) io.printJson(report);
    else for (const line of healthLines(report)) io.print(line);
    return report.ok ? EXIT.ok : EXIT.failed;
  } finally {
    await session?.close();
  }
}

function ignoreRefusal(error: unknown): Session | undefined {
  if (error instanceof CliError) return undefined;
  throw error;
}

async function watch(options: HealthOptions, client: Client, isAdmin: boolean, io: Io): Promise<number> {
  const screen = io.canDraw && !options.json ? await openHealthScreen(io) : undefined;
  let last: HealthReport | undefined;
  do {
    const report = await look(client, isAdmin).catch((error: unknown) => {
      if (error instanceof Cancelled) return undefined;
      throw error;
    });
    if (!report) break;
    last = report;
    if (options.json) io.printLine(report);
    else if (screen) screen.show({ report });
    else io.print(summaryLine(report));
  } while (await waited(options.interval, io.signal));
  await screen?.end();
  return last?.ok ? EXIT.ok : EXIT.failed;
}

async function openHealthScreen(io: Io) {
  const { openScreen } = await import("../ui/screen.ts");
  const load = async () => (await import("../ui/health-screen.ts")).HealthScreen;
  return await openScreen<{ report: HealthReport | undefined }>(io, load, { report: undefined });
}

/** One look, in a handful of calls however many services there are. Never throws for a shop that is down. */
export async function look(client: Client, isAdmin: boolean): Promise<HealthReport> {
  const anonymous = { token: "", timeout: TIMEOUT };
  const started = performance.now();
  try {
    const shop = await client.request("GET", "/health", Health, { ...anonymous, accept: [503] });
    const latency = performance.now() - started;
    const [ready, node, sagas] = await Promise.all([
      client.request("GET", "/health/ready", gatewayContract.actions.ready.result, {
        ...anonymous,
        accept: [503],
      }),
      nodeReport(client),
      isAdmin ? sagaReport(client) : null,
    ]);
    return {
      ok: shop.status !== "unhealthy",
      status: shop.status,
      url: client.url,
      services: shop.services,
      gateway: {
        latency_ms: Math.round(latency * 10) / 10,
        ready: ready.status === "ready",
        failing: ready.failing,
      },
      node,
      sagas,
      checked_at: new Date().toISOString(),
    };
  } catch (error) {
    if (!(error instanceof CliError) || error instanceof Cancelled) throw error;
    return downReport(client.url, error.message);
  }
}

function downReport(url: string, error: string): HealthReport {
  const nothing = { services: {}, gateway: null, node: null, sagas: null };
  return { ok: false, status: "down", url, ...nothing, error, checked_at: new Date().toISOString() };
}

/** Null where the gateway doesn't show its metrics, as in a cluster. */
async function nodeReport(client: Client): Promise<NodeReport | null> {
  const response = await client.send("GET", "/metrics", { token: "", timeout: TIMEOUT });
  if (!response.ok) return null;
  const samples = parseMetrics(await response.text());
  const uptime = samples.find(({ name }) => name === "process_uptime");
  if (!uptime) return null;
  const versions = samples.find(({ name }) => name === "process_versions_node");
  return {
    id: uptime.labels.node ?? "",
    node_version: versions?.labels.value ?? null,
    uptime: uptime.value,
    rss: sampleValue(samples, "process_memory_rss"),
    loop_delay_p99: sampleValue(samples, "molecart_eventloop_delay_seconds", { quantile: "0.99" }),
  };
}

async function sagaReport(client: Client): Promise<HealthReport["sagas"]> {
  const { result } = ordersContract.actions.sagas;
  const ask = (state?: string) =>
    client.request("GET", "/api/admin/sagas", result, { query: { limit: 1, state }, timeout: TIMEOUT });
  try {
    const [all, parked, waiting] = await Promise.all([ask(), ask("parked"), ask("waiting")]);
    const rest = parked.pagination.total + waiting.pagination.total;
    return { under_way: all.pagination.total - rest, parked: parked.pagination.total };
  } catch {
    // The shop as a whole is what is looked at: orders says of itself that it is away.
    return null;
  }
}

/** The report as lines of text. */
export function healthLines(report: HealthReport): string[] {
  const { services, gateway, node, sagas } = report;
  const rows = Object.entries(services).map(([name, { status, instances }]) => [
    status === "healthy" ? "✓" : "✗",
    name,
    status,
    instances,
  ]);
  return [
    `${report.url}: ${report.status}${report.ok ? "" : ": checkout can't work"}`,
    ...(report.error === undefined ? [] : [report.error]),
    ...(rows.length > 0 ? ["", ...table(["", "service", "status", "instances"], rows)] : []),
    "",
    ...(gateway ? [`gateway  ${gatewayText(gateway)}`] : []),
    ...(node ? [`node     ${nodeText(node)}`] : []),
    ...(sagas ? [`sagas    ${sagas.under_way} under way, ${sagas.parked} parked`] : []),
  ];
}

export function gatewayText({ latency_ms, ready, failing }: NonNullable<HealthReport["gateway"]>): string {
  return `${latency_ms} ms, ${ready ? "ready" : `not ready: ${failing.join(", ")}`}`;
}

export function nodeText({ id, node_version, uptime, rss, loop_delay_p99 }: NodeReport): string {
  return [
    id,
    ...(node_version === null ? [] : [`Node ${node_version}`]),
    ...(uptime === null ? [] : [`up ${duration(uptime)}`]),
    ...(rss === null ? [] : [bytes(rss)]),
    ...(loop_delay_p99 === null ? [] : [`event loop p99 ${(loop_delay_p99 * 1000).toFixed(0)} ms`]),
  ].join(", ");
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
