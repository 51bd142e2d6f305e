import { gatewayContract, Health } from "../../services/gateway/gateway.contract.ts";
import type {
  NodeStatus,
  SagaOverview,
  ServiceStatus,
  ShopStatus,
  StoreStatus,
} from "../../services/gateway/status.contract.ts";
import { type Client, createClient } from "../lib/client.ts";
import { Cancelled, CliError, EXIT, NotLoggedIn, ShopRefused } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { waited } from "../lib/patience.ts";
import { findShop } from "../lib/session.ts";
import { AdminWatch } from "../status/admin-watch.ts";
import { healthLines, summaryLine } from "../status/health-lines.ts";
import { type JobsOverview, jobsOf, versionsOf } from "../status/snapshot.ts";

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
  services: Record<string, ServiceHealth>;
  /** Why it is down. */
  error?: string;
  /** ms until the gateway answered for the whole shop, and what it isn't ready for. */
  gateway: { latency_ms: number; ready: boolean; failing: string[] } | null;
  /** From here on: what only an admin sees. */
  nodes: NodeStatus[] | null;
  stores: StoreStatus[] | null;
  jobs: JobsOverview | null;
  sagas: SagaOverview | null;
  /** Why it is missing. */
  limited?: string;
  checked_at: string;
}

type ServiceHealth = Pick<ServiceStatus, "status" | "instances"> &
  Partial<Omit<ServiceStatus, "name">> & { versions?: string[] };

/** Shows the shop's health, once or again and again. @returns the exit code */
export async function health(options: HealthOptions, io: Io): Promise<number> {
  const { url } = await findShop(options, io.env);
  const anonymous = createClient(url, { signal: io.signal });
  // Whoever watches wants to see it come up.
  if (!options.watch) await anonymous.reach();
  const eyes = new Eyes(options, io);
  try {
    if (options.watch) return await watch(options, anonymous, eyes, io);
    const report = await look(anonymous, eyes);
    if (options.json) io.printJson(report);
    else io.printRows(healthLines(report));
    return report.ok ? EXIT.ok : EXIT.failed;
  } finally {
    await eyes.close();
  }
}

/** What only an admin sees, for as long as the shop takes us for one: a refusal is not asked for again. */
class Eyes {
  readonly #watch: AdminWatch;
  #refusal: string | undefined;

  constructor(options: HealthOptions, io: Io) {
    this.#watch = new AdminWatch(options, io);
  }

  /** @returns the status, or why it can't be had */
  async look(): Promise<ShopStatus | string> {
    if (this.#refusal !== undefined) return this.#refusal;
    try {
      return await this.#watch.status();
    } catch (error) {
      if (!(error instanceof CliError) || error instanceof Cancelled) throw error;
      const isForGood =
        error instanceof NotLoggedIn || (error instanceof ShopRefused && [401, 403].includes(error.status));
      if (isForGood) this.#refusal = error.message;
      return error.message;
    }
  }

  async close(): Promise<void> {
    await this.#watch.close();
  }
}

async function watch(options: HealthOptions, client: Client, eyes: Eyes, io: Io): Promise<number> {
  const screen = io.canDraw && !options.json ? await openHealthScreen(io) : undefined;
  let last: HealthReport | undefined;
  do {
    const report = await look(client, eyes).catch((error: unknown) => {
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

/**
 * One look, in a handful of calls however many services there are. Never throws for a shop that is down.
 * @param eyes an admin's, where there are any
 */
export async function look(client: Client, eyes?: Pick<Eyes, "look">): Promise<HealthReport> {
  const options = { token: "", timeout: TIMEOUT, accept: [503] };
  const started = performance.now();
  try {
    const shop = await client.request("GET", "/health", Health, options);
    const latency = performance.now() - started;
    const [ready, seen] = await Promise.all([
      client.request("GET", "/health/ready", gatewayContract.actions.ready.result, options),
      eyes?.look(),
    ]);
    const gateway = {
      latency_ms: Math.round(latency * 10) / 10,
      ready: ready.status === "ready",
      failing: ready.failing,
    };
    return { ...reportOf(shop, seen), url: client.url, gateway, checked_at: new Date().toISOString() };
  } catch (error) {
    if (!(error instanceof CliError) || error instanceof Cancelled) throw error;
    return downReport(client.url, error.message);
  }
}

const UNSEEN = { nodes: null, stores: null, jobs: null, sagas: null };

/** @param seen what an admin sees: of the stores of every node, where `/health` knows the gateway's alone */
function reportOf(shop: Health, seen: ShopStatus | string | undefined) {
  if (typeof seen !== "object") {
    const { status, services } = shop;
    const limited = seen === undefined ? {} : { limited: seen };
    return { ok: status !== "unhealthy", status, services, ...UNSEEN, ...limited };
  }
  const { nodes, stores, queues, sagas } = seen;
  const status = shop.status === "unhealthy" ? shop.status : seen.status;
  const services = Object.fromEntries(
    seen.services.map(({ name, ...service }) => [name, { ...service, versions: versionsOf(nodes, name) }]),
  );
  return { ok: status !== "unhealthy", status, services, nodes, stores, jobs: jobsOf(queues), sagas };
}

function downReport(url: string, error: string): HealthReport {
  const checked_at = new Date().toISOString();
  return { ok: false, status: "down", url, services: {}, gateway: null, ...UNSEEN, error, checked_at };
}
