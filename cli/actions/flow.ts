import { randomBytes } from "node:crypto";
import { Session } from "../../services/auth/auth.contract.ts";
import type { Product } from "../../services/products/products.contract.ts";
import { shopDesk } from "../lib/checkout.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT, Misuse } from "../lib/errors.ts";
import { finishing, type Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { patiently, waited } from "../lib/patience.ts";
import { createRandom } from "../lib/random.ts";
import { openShop } from "../lib/session.ts";
import { inParallel } from "../lib/workers.ts";
import { type Kind, pickKind, readMix, visit } from "./flow-customer.ts";
import { FlowFigures, type FlowReport, flowLines } from "./flow-figures.ts";
import { ProductPage } from "./products.ts";

export interface FlowOptions extends CommonOptions {
  count: number;
  concurrency: number;
  mix: string;
  seed: string;
}

/** s between two looks at the figures. */
const EVERY = 1;

/** Sends synthetic customers and counts what happens to them. @returns the exit code */
export async function orderFlow(options: FlowOptions, io: Io): Promise<number> {
  const mix = mixOf(options.mix);
  const client = await openShop(options, finishing(io));
  const catalogue = await catalogueOf(client);
  const figures = new FlowFigures(options.count);
  const over = new AbortController();
  const reporting = tellWhile(figures, options, AbortSignal.any([over.signal, io.signal]), io);
  try {
    await runVisits(client, catalogue, mix, options, figures, io);
  } finally {
    over.abort();
    await reporting;
  }
  const report = figures.report();
  if (options.json) io.printLine({ type: "summary", ...report });
  else for (const line of flowLines(report)) io.print(line);
  if (io.signal.aborted) {
    io.say(`Cancelled after ${report.visits} of ${report.count} visits; each one that was begun has ended.`);
    return EXIT.cancelled;
  }
  return report.failed === 0 ? EXIT.ok : EXIT.failed;
}

export function mixOf(text: string): [Kind, number][] {
  try {
    return readMix(text);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Misuse(`--mix ${text}: ${error.message}.`);
  }
}

/** What the customers choose from. @throws CliError if there is nothing to buy */
export async function catalogueOf(client: Client): Promise<Product[]> {
  const query = { in_stock: true, limit: 100, sort: "name" };
  const { products } = await client.request("GET", "/api/products", ProductPage, { query });
  if (products.length > 0) return products;
  throw new CliError("There is nothing to buy in this shop.", {
    next: "Fill it with `molecart seed --products 100`, or raise the stock.",
  });
}

async function runVisits(
  client: Client,
  catalogue: readonly Product[],
  mix: [Kind, number][],
  { count, concurrency, seed }: FlowOptions,
  figures: FlowFigures,
  io: Io,
): Promise<void> {
  const run = randomBytes(5).toString("hex");
  // Each worker is one customer after the other, with one account: a cart is one person's.
  const tokens = new Map<number, { token: string; until: number }>();
  const { signal } = io;
  const desk = shopDesk(client, finishing(io).signal);
  await inParallel(count, concurrency, signal, async (index, worker) => {
    const random = createRandom(`${seed}:${index}`);
    const kind = pickKind(mix, random);
    let login = tokens.get(worker);
    if (!login || login.until < Date.now()) {
      login = await patiently(() => registerCustomer(client, `${run}-${worker}-${index}`), signal);
      tokens.set(worker, login);
    }
    await visit(
      { client, desk, figures, signal: finishing(io).signal },
      { kind, key: `flow-${run}-${index}`, token: login.token, random, catalogue },
    );
  });
}

/** An account that nobody can log in to: its password is forgotten at once. */
export async function registerCustomer(
  client: Client,
  name: string,
): Promise<{ token: string; until: number }> {
  const body = {
    email: `flow-${name}@example.com`,
    password: randomBytes(24).toString("base64url"),
    first_name: "Synthetic",
    last_name: "Customer",
  };
  const { access_token, expires_in } = await client.request("POST", "/api/auth/register", Session, { body });
  // A visit may take a while: half of the token's life is left for it.
  return { token: access_token, until: Date.now() + expires_in * 500 };
}

/** Tells the figures every second until `signal`. */
async function tellWhile(
  figures: FlowFigures,
  options: FlowOptions,
  signal: AbortSignal,
  io: Io,
): Promise<void> {
  const screen = io.canDraw && !options.json ? await openFlowScreen(io) : undefined;
  const rates: number[] = [];
  let orders = 0;
  while (await waited(EVERY, signal)) {
    const report = figures.report();
    rates.push(report.orders - orders);
    orders = report.orders;
    if (rates.length > 60) rates.shift();
    if (screen) screen.show({ report, rates: [...rates] });
    else if (options.json) io.printLine({ type: "progress", ...report });
    else
      io.say(`${report.visits} of ${report.count} visits, ${report.orders} orders, ${report.failed} failed`);
  }
  await screen?.end({ clear: true });
}

async function openFlowScreen(io: Io) {
  const { openScreen } = await import("../ui/screen.ts");
  const load = async () => (await import("../ui/flow-screen.ts")).FlowScreen;
  return await openScreen<{ report: FlowReport | undefined; rates: readonly number[] }>(io, load, {
    report: undefined,
    rates: [],
  });
}
