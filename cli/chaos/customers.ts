import { randomBytes } from "node:crypto";
import { catalogueOf, registerCustomer } from "../actions/flow.ts";
import { type Kind, pickKind, visit } from "../actions/flow-customer.ts";
import type { FlowFigures } from "../actions/flow-figures.ts";
import { shopDesk } from "../lib/checkout.ts";
import { type Client, createClient } from "../lib/client.ts";
import { CliError } from "../lib/errors.ts";
import { patiently, waited } from "../lib/patience.ts";
import { createRandom } from "../lib/random.ts";
import { inParallel } from "../lib/workers.ts";
import type { Ledger } from "./ledger.ts";

/** ms that a customer waits for an answer. */
const TIMEOUT = 8_000;
/** s after which one who was let down tries again. */
const SULK = 0.3;

interface Options {
  urls: readonly string[];
  mix: [Kind, number][];
  seed: string;
  count: number;
  concurrency: number;
  figures: FlowFigures;
  ledger: Ledger;
  /** Lets nobody in any more; who is inside ends what was begun. */
  signal: AbortSignal;
}

/**
 * Sends synthetic customers to a shop that is being broken. They are patient: who gets no answer asks again under the same
 * key, and at another gateway the next time.
 */
export async function sendCustomers(options: Options): Promise<void> {
  const { urls, mix, seed, count, concurrency, figures, ledger, signal } = options;
  const clients = urls.map((url) => createClient(url, { timeout: TIMEOUT }));
  const run = randomBytes(5).toString("hex");
  const never = new AbortController().signal;
  const [first] = clients;
  if (!first) throw new Error("There is no gateway to go to.");
  const catalogue = await catalogueOf(first);
  const workers = new Map<number, { token: string; until: number }>();
  let turn = 0;
  await inParallel(count, concurrency, signal, async (index, worker) => {
    const client = clients[turn++ % clients.length] ?? first;
    const random = createRandom(`${seed}:${index}`);
    const login = workers.get(worker) ?? (await letIn(client, `${run}-${worker}-${index}`, signal));
    if (!login) return;
    if (login.until > Date.now()) workers.set(worker, login);
    else workers.delete(worker);
    const desk = ledger.desk(shopDesk(client, never));
    const isContent = await visit(
      { client, desk, figures, signal: never },
      { kind: pickKind(mix, random), key: `chaos-${run}-${index}`, token: login.token, random, catalogue },
    );
    if (isContent) return;
    // It may have been the session: the next one comes with a new account.
    workers.delete(worker);
    await waited(SULK, signal);
  });
}

/** Registers somebody, however often that takes. @returns undefined if the doors have closed meanwhile */
async function letIn(client: Client, name: string, signal: AbortSignal) {
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      return await patiently(() => registerCustomer(client, `${name}-${tries}`), signal);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      await waited(SULK, signal);
    }
  }
  return undefined;
}
