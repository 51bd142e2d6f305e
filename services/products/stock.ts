import { call, type Origin } from "../../lib/call.ts";
import { requireOffered } from "../../lib/calling.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { StockLevel } from "../inventory/inventory.contract.ts";

/**
 * `products.stock_quantity` follows inventory: by the event `stock.changed`, which comes at once but may be lost, and by
 * inventory's feed of changes, which is read now and then and misses nothing.
 */

/** Levels a statement takes, and the feed gives at a time. */
const PAGE = 1000;
/**
 * ms before the last round from which the feed is read again. A change carries the time it was made but shows when
 * its transaction ends, and Postgres ends none of ours later than this.
 */
const MARGIN = 30_000;

/**
 * Takes over what is available where the level is newer than what the product knows. It doesn't wait for the disk: what
 * a crash of the database loses, the feed brings again.
 * @returns the ids of the products that changed
 */
export async function applyLevels(db: Database, levels: readonly StockLevel[], tx?: Tx): Promise<number[]> {
  const given = levels.toSorted((a, b) => a.product_id - b.product_id);
  const rows = await db.rows<{ id: number }>(
    `SELECT id FROM (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed,
       LATERAL products.follow_stock($1, $2, $3) AS id`,
    [
      given.map(({ product_id }) => product_id),
      given.map(({ available }) => available),
      given.map(({ version }) => version),
    ],
    tx,
  );
  return rows.map(({ id }) => id);
}

/**
 * Reads inventory's feed from where it was read last, and takes its levels over. Several nodes may do so at once.
 * @param changed is told of products whose stock was not what it should be
 */
export async function readStockFeed(
  db: Database,
  origin: Origin,
  changed: (ids: number[]) => Promise<void>,
): Promise<void> {
  requireOffered(origin.broker, "inventory.changes");
  const row = await db.one<{ since: Date }>(
    "SELECT read_until - make_interval(secs => $1) AS since FROM products.stock_feed",
    [MARGIN / 1000],
  );
  const since = (row?.since ?? new Date(0)).toISOString();
  let readUntil: string | undefined;
  for (let after = 0; ; ) {
    const { levels, until } = await call(origin, "inventory.changes", { since, after, limit: PAGE });
    readUntil ??= until;
    const ids = await applyLevels(db, levels);
    if (ids.length > 0) await changed(ids);
    const last = levels.at(-1);
    if (!last || levels.length < PAGE) break;
    after = last.product_id;
  }
  await db.rows("UPDATE products.stock_feed SET read_until = greatest(read_until, $1)", [readUntil]);
}

interface StockQueueOptions {
  db: Database;
  changed: (ids: number[]) => Promise<void>;
  failed: (error: unknown) => void;
}

interface Batch {
  levels: Map<number, StockLevel>;
  done: PromiseWithResolvers<void>;
}

/** Takes levels over as events bring them: one statement at a time, and what comes meanwhile is one next statement. */
export class StockQueue {
  readonly #options: StockQueueOptions;
  #next: Batch | undefined;
  #running: Promise<void> | undefined;

  constructor(options: StockQueueOptions) {
    this.#options = options;
  }

  /** Resolves when these levels are taken over, or that has failed. */
  add(levels: readonly StockLevel[]): Promise<void> {
    this.#next ??= { levels: new Map(), done: Promise.withResolvers() };
    const batch = this.#next;
    for (const level of levels) {
      const other = batch.levels.get(level.product_id);
      if (!other || other.version < level.version) batch.levels.set(level.product_id, level);
    }
    this.#running ??= this.#run();
    return batch.done.promise;
  }

  /** Resolves when all that was added is taken over. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { db, changed, failed } = this.#options;
    while (this.#next) {
      const { levels, done } = this.#next;
      this.#next = undefined;
      try {
        const ids = await applyLevels(db, [...levels.values()]);
        if (ids.length > 0) await changed(ids);
      } catch (error) {
        // Not tried again here: the feed brings it.
        failed(error);
      }
      done.resolve();
    }
    this.#running = undefined;
  }
}
