import { checkInvariants, checkOrders, ordersAtRest } from "../chaos/check.ts";
import { LAYOUT, runningCluster, startCluster } from "../chaos/cluster-target.ts";
import { sendCustomers } from "../chaos/customers.ts";
import { startEmbedded } from "../chaos/embedded-target.ts";
import { type Happened, injectFaults } from "../chaos/inject.ts";
import { Ledger } from "../chaos/ledger.ts";
import { FAULT_KINDS, type Fault, type FaultKind, planFaults, readFaults } from "../chaos/plan.ts";
import { untilStocked } from "../chaos/probe.ts";
import { type ChaosReport, chaosLines, happenedLine, promisesOf } from "../chaos/report.ts";
import type { ChaosTarget } from "../chaos/target.ts";
import { layoutOf } from "../cluster/layout.ts";
import { programOf, SERVER_KINDS } from "../cluster/server-kinds.ts";
import { confirm } from "../lib/ask.ts";
import { type Client, createClient } from "../lib/client.ts";
import { Cancelled, CliError, EXIT, Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { plural } from "../lib/output.ts";
import { waited } from "../lib/patience.ts";
import { logIn } from "../lib/session.ts";
import type { ChaosView } from "../ui/chaos-screen.ts";
import { mixOf } from "./flow.ts";
import { FlowFigures } from "./flow-figures.ts";

export interface ChaosOptions {
  seed: string;
  /** s */
  duration: number;
  count: number;
  concurrency: number;
  mix: string;
  faults?: string;
  embedded?: boolean;
  cluster?: boolean;
  url?: string;
  yes?: boolean;
  /** False for `--no-input`. */
  input?: boolean;
  json?: boolean;
}

/** ms within which everything must have come to its end after the last fault: what the shop promises. */
const SETTLE = 60_000;
const EVERY = 1;

/** Breaks a shop on this machine while customers order, and holds it to its promises. @returns the exit code */
export async function chaos(layout: readonly string[], options: ChaosOptions, io: Io): Promise<number> {
  const kinds = checkOptions(layout, options);
  const target = await openTarget(layout, options, io);
  try {
    const faults = plan(target, kinds, options);
    if (!target.isOurs) {
      io.say("Its rate limits slow the customers down, unless it was started with RATE_LIMIT=off.");
      await confirm(
        io,
        `Kill, freeze and restart what belongs to ${target.title}, and place synthetic orders there?`,
        options,
      );
    }
    return await run(target, faults, options, io);
  } finally {
    await target.close();
  }
}

function checkOptions(layout: readonly string[], options: ChaosOptions): FaultKind[] {
  if (options.url !== undefined) {
    throw new Misuse(
      "chaos breaks nothing that it did not start on this machine: it takes no --url.",
      "Without it, it takes the cluster that `npm run cluster` runs here, or starts a shop of its own.",
    );
  }
  if (options.embedded && (options.cluster || layout.length > 0)) {
    throw new Misuse("An embedded shop is one process: --embedded goes without --cluster and a layout.");
  }
  layoutOf(layout);
  mixOf(options.mix);
  try {
    return options.faults === undefined ? [] : readFaults(options.faults);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Misuse(`--faults ${options.faults}: ${error.message}.`);
  }
}

/** The cluster that runs here, else one of our own, else, without a NATS, an embedded shop. Says which, and why. */
async function openTarget(layout: readonly string[], options: ChaosOptions, io: Io): Promise<ChaosTarget> {
  const start = async (what: string, open: () => Promise<ChaosTarget>) => {
    io.say(`Starting ${what}…`);
    const target = await open();
    try {
      await untilStocked(target.urls, io.signal);
    } catch (error) {
      await target.close();
      throw error;
    }
    return target;
  };
  const embedded = () => start("an embedded shop", () => startEmbedded(io.env, io.signal));
  if (options.embedded) return await embedded();
  const running = await runningCluster(io.env);
  if (running && layout.length > 0) {
    throw new Misuse(
      `There is ${running.title} already.`,
      "Leave out the layout, or stop that cluster first.",
    );
  }
  if (running) return running;
  if (programOf("nats", io.env)) {
    if (!programOf("redis", io.env)) {
      io.say(`There is no redis-server here, so Redis is left out (${SERVER_KINDS.redis.install}).`);
    }
    const plans = layoutOf(layout.length > 0 ? layout : LAYOUT);
    return await start(`a cluster of ${plural(plans.length, "node")}`, () =>
      startCluster(layout, io.env, io.signal),
    );
  }
  const how = `For a cluster there must be a nats-server: ${SERVER_KINDS.nats.install}.`;
  if (options.cluster || layout.length > 0)
    throw new CliError("There is no nats-server here.", { next: how });
  io.say(
    "There is no nats-server here, so what is broken is an embedded shop: one process, and its Postgres.",
  );
  io.say(how);
  return await embedded();
}

/** @throws Misuse for a fault that this shop can't have */
function plan(target: ChaosTarget, wanted: readonly FaultKind[], { seed, duration }: ChaosOptions): Fault[] {
  const isNodes = (kind: FaultKind) => ["kill", "freeze", "restart"].includes(kind);
  const possible = FAULT_KINDS.filter((kind) => isNodes(kind) || target.servers.includes(kind));
  const missing = wanted.find((kind) => !possible.includes(kind));
  if (missing) {
    throw new Misuse(
      `${target.title} has no ${missing} of its own to cut.`,
      `It can have ${possible.join(", ")}.`,
    );
  }
  const often: FaultKind[] = target.mode === "embedded" ? ["kill", "kill", "kill"] : ["kill"];
  const kinds = wanted.length > 0 ? wanted : [...often, ...possible];
  const faults = planFaults({ seed, duration, kinds, nodes: target.nodes, servers: target.servers });
  if (faults.length > 0) return faults;
  throw new Misuse(`In ${duration} s no fault can come and go.`, "Give it a longer --duration.");
}

async function run(target: ChaosTarget, faults: Fault[], options: ChaosOptions, io: Io): Promise<number> {
  const [url = ""] = target.urls;
  const [figures, ledger] = [new FlowFigures(options.count), new Ledger()];
  const started = performance.now();
  const clock = () => (performance.now() - started) / 1000;
  const view: Omit<ChaosView, "seconds" | "told"> = {
    ...{ title: target.title, seed: options.seed, duration: options.duration },
    ...{ phase: "breaking it", faults: [], planned: faults.length, rates: [] },
  };
  if (!options.json)
    io.say(`Breaking ${target.title}: ${plural(faults.length, "fault")}, seed ${options.seed}.`);
  const told = tellWhile(view, ledger, clock, options, io);
  try {
    const doors = new AbortController();
    const closed = AbortSignal.any([io.signal, doors.signal]);
    const { urls } = target;
    const { seed, count, concurrency } = options;
    const customers = sendCustomers({
      ...{ urls, mix: mixOf(options.mix), seed, count, concurrency, figures, ledger, signal: closed },
    });
    // A failure of theirs ends the faults; it is thrown below.
    const over = customers.then(
      () => doors.abort(),
      () => doors.abort(),
    );
    const changed = (happened: readonly Happened[]) => {
      view.faults = [...happened];
      told.fault(happened);
    };
    const happened = await injectFaults({ faults, target, clock, changed, signal: closed });
    await waited(Math.max(0, options.duration - clock()), closed);
    doors.abort();
    const lastFault = Date.now();
    view.phase = "settling";
    await customers;
    await over;
    if (io.signal.aborted)
      throw new Cancelled(
        `Cancelled after ${plural(happened.length, "fault")}: nothing is frozen, and all that was killed was started again.`,
      );
    const admin = await adminOf(target, url, lastFault + SETTLE, io.signal);
    const resolved = await ledger.resolve(createClient(url), lastFault + SETTLE, io.signal);
    const left = await ordersAtRest(admin.client, lastFault + SETTLE, io.signal);
    const settled = left === 0 ? Math.round((Date.now() - lastFault) / 100) / 10 : null;
    view.phase = "checking";
    const orders = await checkOrders([...ledger.orders.values()], admin.client, io.signal);
    const verify = await checkInvariants(admin.client, lastFault + SETTLE, io.signal);
    const failing = await untilReady(target, lastFault + SETTLE, io.signal);
    await told.end();
    const report = {
      ...{ mode: target.mode, target: target.title, seed: options.seed, faults: happened },
      ...{
        told: ledger.outcomes,
        resolved,
        flow: figures.report(),
        orders,
        settled_s: settled,
        failing,
        verify,
      },
    };
    return print({ ok: promisesOf(report).every(({ ok }) => ok), ...report }, options, io);
  } finally {
    await told.end();
  }
}

/** Logs in once the shop lets us, which takes a moment after the last fault. */
async function adminOf(target: ChaosTarget, url: string, until: number, signal: AbortSignal) {
  for (;;) {
    try {
      const login = await logIn(createClient(url, { signal }), target.admin);
      const client: Client = createClient(url, { signal, token: async () => login.access_token });
      return { client };
    } catch (error) {
      if (!(error instanceof CliError) || error instanceof Cancelled) throw error;
      if (Date.now() > until || !(await waited(EVERY / 2, signal))) throw error;
    }
  }
}

async function untilReady(target: ChaosTarget, until: number, signal: AbortSignal): Promise<string[]> {
  for (;;) {
    const failing = await target.failing();
    if (failing.length === 0 || Date.now() > until || !(await waited(EVERY / 2, signal))) return failing;
  }
}

function print(report: ChaosReport, options: ChaosOptions, io: Io): number {
  if (options.json) io.printLine({ type: "summary", ...report });
  else {
    if (io.canDraw) for (const one of report.faults) io.print(happenedLine(one));
    for (const line of chaosLines(report)) io.print(line);
  }
  return report.ok ? EXIT.ok : EXIT.failed;
}

/** Tells what goes on: a screen, NDJSON, or a line for each fault. */
function tellWhile(
  view: Omit<ChaosView, "seconds" | "told">,
  ledger: Ledger,
  clock: () => number,
  options: ChaosOptions,
  io: Io,
) {
  const over = new AbortController();
  const said = new Set<number>();
  const told = ledger.outcomes;
  const live = (async () => {
    const draws = io.canDraw && !options.json;
    const screen = draws ? await openChaosScreen(io, { ...view, seconds: 0, told }) : undefined;
    let before = 0;
    const rates: number[] = [];
    while (await waited(EVERY, over.signal)) {
      rates.push(told.orders.acknowledged - before);
      before = told.orders.acknowledged;
      if (rates.length > 60) rates.shift();
      const seconds = Math.round(clock() * 10) / 10;
      screen?.show({ view: { ...view, seconds, told, rates: [...rates] } });
      if (options.json) io.printLine({ type: "progress", seconds, phase: view.phase, told });
    }
    await screen?.end({ clear: true });
  })();
  return {
    fault(happened: readonly Happened[]): void {
      for (const one of happened) {
        if (options.json && !(said.has(one.n) && one.ended === null)) {
          if (!said.has(-one.n)) io.printLine({ type: "fault", ...one });
        } else if (!options.json && !io.canDraw && one.ended !== null && !said.has(-one.n)) {
          io.say(happenedLine(one));
        }
        said.add(one.ended === null ? one.n : -one.n);
      }
    },
    async end(): Promise<void> {
      over.abort();
      await live;
    },
  };
}

async function openChaosScreen(io: Io, view: ChaosView) {
  const { openScreen } = await import("../ui/screen.ts");
  const load = async () => (await import("../ui/chaos-screen.ts")).ChaosScreen;
  return await openScreen<{ view: ChaosView }>(io, load, { view });
}
