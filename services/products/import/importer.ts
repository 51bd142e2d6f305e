import { Readable } from "node:stream";
import { type Caller, call } from "../../../lib/call.ts";
import { BelowReserved, MalformedRequest, Unavailable, ValidationFailed } from "../../../lib/errors.ts";
import { toMinor } from "../../../lib/money.ts";
import type { Catalogue } from "../catalogue.ts";
import { type ResolvedCategory, resolveCategories } from "../category-names.ts";
import type { ImportReport } from "../products.contract.ts";
import { applyLevels } from "../stock.ts";
import { skuKey, type Upserted, type UpsertProduct, upsertProducts } from "../upsert.ts";
import { CsvLineReader, JsonLineReader, type LineReader, type ParsedLine, type Rejection } from "./lines.ts";
import { RecordSplitter } from "./records.ts";

/** Lines that are taken over together: one transaction, one call of inventory. */
const BATCH = 500;
/** Rejected lines that the report lists; the rest are counted. */
const MAX_LISTED = 1000;
/** ms for inventory to set the stock of one batch. */
const STOCK_TIMEOUT = 15_000;

interface ImportOptions {
  catalogue: Catalogue;
  /** In whose name inventory is called. */
  caller: Caller;
  /** Is told after each batch. */
  changed: () => Promise<void>;
  logFailure: (error: unknown) => void;
}

/** One line of a batch, and what it makes of its product. */
interface Wanted extends UpsertProduct {
  line: number;
  stock_quantity?: number;
}

/**
 * Takes a stream of lines over, batch by batch: the next bytes are read when a batch is in the database, so memory is
 * bounded by one batch however long the stream is.
 */
export class Importer {
  readonly #options: ImportOptions;
  readonly #splitter: RecordSplitter;
  readonly #reader: LineReader;
  #batch: ParsedLine[] = [];
  /** Up to where all is done, for a stream that breaks off. */
  #done = { line: 0, rejected: 0 };
  readonly #report: ImportReport = { created: 0, updated: 0, rejected: [], rejected_total: 0 };

  constructor(mediaType: "application/x-ndjson" | "text/csv", options: ImportOptions) {
    const isCsv = mediaType === "text/csv";
    this.#options = options;
    this.#splitter = new RecordSplitter({ quotes: isCsv });
    this.#reader = isCsv ? new CsvLineReader() : new JsonLineReader();
  }

  /**
   * Reads the stream to its end.
   * @throws MalformedRequest if it breaks off, saying what was taken over until then; ValidationFailed for a CSV header
   */
  async run(stream: unknown): Promise<ImportReport> {
    if (!(stream instanceof Readable)) throw new MalformedRequest({ reason: "Send the lines as the body." });
    for await (const chunk of unbroken(stream, () => this.#brokenOff())) {
      await this.#take(this.#splitter.push(chunk));
    }
    await this.#take(this.#splitter.end());
    await this.#flush();
    this.#report.rejected.sort((a, b) => a.line - b.line);
    return this.#report;
  }

  /** A line cut short can look like a whole one: what came after the last batch is left out. */
  #brokenOff(): MalformedRequest {
    const { created, updated } = this.#report;
    const { line, rejected } = this.#done;
    const reason =
      `The stream broke off. Taken over up to line ${line}: ${created} created, ${updated} updated, ` +
      `${rejected} rejected. What came after it was left out.`;
    return new MalformedRequest({ reason });
  }

  async #take(records: Parameters<LineReader["read"]>[0][]): Promise<void> {
    for (const record of records) {
      const parsed = this.#reader.read(record);
      if (!parsed) continue;
      if ("code" in parsed) this.#reject(parsed);
      else if (this.#batch.push(parsed) >= BATCH) await this.#flush();
    }
  }

  #reject(rejection: Rejection): void {
    this.#report.rejected_total++;
    if (this.#report.rejected.length < MAX_LISTED) this.#report.rejected.push(rejection);
  }

  async #flush(): Promise<void> {
    const lines = this.#batch;
    this.#batch = [];
    const last = lines.at(-1);
    if (!last) return;
    const { db, currency } = this.#options.catalogue;
    const { wanted, unclear, upserted } = await db.transaction(async (tx) => {
      const references = lines.map(({ product }) => product);
      const { wanted, unclear } = mergeLines(lines, await resolveCategories(db, references, tx));
      const inOrder = wanted.toSorted((a, b) => (skuKey(a.sku) < skuKey(b.sku) ? -1 : 1));
      return { wanted, unclear, upserted: await upsertProducts(db, tx, inOrder, currency) };
    });
    for (const rejection of unclear) this.#reject(rejection);
    const created = [...upserted.values()].filter((product) => product.created).length;
    this.#report.created += created;
    this.#report.updated += lines.length - unclear.length - created;
    await this.#setStock(wanted, upserted);
    this.#done = { line: last.line, rejected: this.#report.rejected_total };
    await this.#options.changed();
  }

  /** The products are there by now: a line whose stock can't be set is reported, and the import goes on. */
  async #setStock(wanted: readonly Wanted[], upserted: ReadonlyMap<string, Upserted>): Promise<void> {
    const { catalogue, caller, logFailure } = this.#options;
    const lineOf = new Map<number, number>();
    const levels = wanted.flatMap(({ sku, line, stock_quantity: on_hand }) => {
      const id = upserted.get(skuKey(sku))?.id;
      if (id === undefined || on_hand === undefined) return [];
      lineOf.set(id, line);
      return [{ product_id: id, on_hand }];
    });
    if (levels.length === 0) return;
    try {
      const done = await call(caller, "inventory.setMany", { levels }, { timeout: STOCK_TIMEOUT });
      for (const { product_id, reserved } of done.refused) {
        const error = `The product was saved, but its stock was not set: ${reserved} are reserved for orders.`;
        this.#reject({ line: lineOf.get(product_id) ?? 0, code: BelowReserved.code, error });
      }
      await applyLevels(catalogue.db, done.levels);
    } catch (error) {
      logFailure(error);
      const message = "The product was saved, but its stock may not have been set. Import the line again.";
      for (const line of lineOf.values()) this.#reject({ line, code: Unavailable.code, error: message });
    }
  }
}

/** What a batch wants of each SKU: as if its lines had been taken over one after the other. */
function mergeLines(
  lines: readonly ParsedLine[],
  categories: readonly ResolvedCategory[],
): { wanted: Wanted[]; unclear: Rejection[] } {
  const unclear: Rejection[] = [];
  const wanted = new Map<string, Wanted>();
  for (const [index, { line, product }] of lines.entries()) {
    const resolved = categories[index] ?? { category_id: undefined };
    if ("path" in resolved) {
      unclear.push({ line, code: ValidationFailed.code, error: `${resolved.path}: ${resolved.message}.` });
      continue;
    }
    const { category: _name, category_id: _given, price, ...fields } = product;
    const { category_id } = resolved;
    const key = skuKey(product.sku);
    wanted.set(key, {
      ...wanted.get(key),
      ...fields,
      line,
      price: toMinor(price),
      ...(category_id === undefined ? {} : { category_id }),
    });
  }
  return { wanted: [...wanted.values()], unclear };
}

/**
 * The stream's chunks. Stopping halfway lets go of the stream but leaves it open: a request's stream is also the way its
 * answer goes back, and the gateway reads the rest into nothing.
 */
async function* unbroken(stream: Readable, brokenOff: () => Error): AsyncGenerator<Buffer> {
  const chunks = stream.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const next: IteratorResult<unknown> = await chunks.next().catch(() => Promise.reject(brokenOff()));
      if (next.done) return;
      yield Buffer.isBuffer(next.value) ? next.value : Buffer.from(String(next.value));
    }
  } finally {
    await chunks.return?.();
  }
}
