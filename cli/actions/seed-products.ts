import type { Client } from "../lib/client.ts";
import { Cancelled } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { madeUpProduct, seededSku } from "../lib/made-up.ts";
import { plural } from "../lib/output.ts";
import { patiently } from "../lib/patience.ts";
import { openMeter } from "../lib/progress.ts";
import { ProductPage } from "./products.ts";
import { sendLines } from "./products-import.ts";
import type { Seeded, SeedOptions } from "./seed.ts";

/** Products of one request: a kill loses no more of the work than this. */
const BATCH = 500;

/** Makes the products 1 to `--products` of a seed, those that are not there yet, batch by batch. */
export async function seedProducts(
  client: Client,
  options: Pick<SeedOptions, "products" | "seed" | "json">,
  io: Io,
): Promise<Seeded> {
  const { products: wanted, seed } = options;
  const first = await firstMissing(client, seed, wanted, io.signal);
  const meter = await openMeter(io, { unit: "product", total: wanted, json: options.json });
  const seeded: Seeded = { wanted, present: first, created: 0, failed: 0 };
  try {
    for (let start = first; start < wanted && !io.signal.aborted; start += BATCH) {
      const end = Math.min(wanted, start + BATCH);
      const report = await patiently(
        () => sendLines(client, linesOf(seed, start, end), "ndjson"),
        io.signal,
        (seconds) => meter.update(start, { before: first, note: `asked to wait ${seconds} s` }),
      );
      seeded.created += report.created;
      seeded.present += report.updated;
      seeded.failed += report.rejected_total;
      const [bad] = report.rejected;
      if (bad) io.say(`${plural(report.rejected_total, "product")} refused, the first with: ${bad.error}`);
      meter.update(end, { before: first });
    }
  } catch (error) {
    // Ctrl-C while the shop had asked to wait.
    if (!(error instanceof Cancelled)) throw error;
  } finally {
    await meter.end();
  }
  return seeded;
}

async function* linesOf(seed: number, start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let index = start; index < end; index++) {
    yield Buffer.from(`${JSON.stringify(madeUpProduct(seed, index))}\n`);
  }
}

/**
 * Where to go on: the first product of the last batch that may be unfinished. Products are made in order, so a binary
 * search finds the last one there is, if the first is. The batch it is in is sent again: it may have been broken off
 * before its stock was set.
 */
export async function firstMissing(
  client: Client,
  seed: number,
  wanted: number,
  signal: AbortSignal,
): Promise<number> {
  // A new seed's usual answer: a search for what isn't there is the dearest, and the others would all be such.
  if (!(await isThere(client, seededSku(seed, 0), signal))) return 0;
  let low = 1;
  let high = wanted;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await isThere(client, seededSku(seed, middle), signal)) low = middle + 1;
    else high = middle;
  }
  const isWhole = low === wanted && (await isThere(client, seededSku(seed, low - 1), signal, true));
  return isWhole ? wanted : Math.max(0, Math.floor((low - 1) / BATCH) * BATCH);
}

/** @param withStock whether it must also have some: stock is what an import sets last */
async function isThere(
  client: Client,
  wanted: string,
  signal: AbortSignal,
  withStock = false,
): Promise<boolean> {
  const query = { search: wanted, limit: 5 };
  const { products } = await patiently(
    () => client.request("GET", "/api/products", ProductPage, { query }),
    signal,
  );
  const found = products.find(({ sku }) => sku === wanted);
  return found !== undefined && (!withStock || found.stock_quantity > 0);
}
