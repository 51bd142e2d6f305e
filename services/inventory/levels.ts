import { BelowReserved, ValidationFailed } from "../../lib/errors.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import { MAX_ON_HAND, type StockLevel } from "./inventory.contract.ts";
import type { Inventory } from "./inventory.ts";
import { publishLowStock } from "./low-stock.ts";
import { columnsOf, type LevelColumns, levelOf, noStock } from "./stock-level.ts";

/**
 * What changes on hand other than orders: deliveries, corrections, imports. `received` follows every such change, so
 * on hand + sold = received says that orders alone lose nothing and make nothing.
 */

/** How many there are to be, given how many there are. */
type Target = (on_hand: number) => number;

export interface Restocked {
  levels: StockLevel[];
  /** Products of which more are reserved than there were to be. */
  refused: { product_id: number; reserved: number }[];
}

/**
 * Sets how many of each product are on hand, where that isn't below what is reserved. Of a product named twice the last
 * counts.
 */
export function setLevels(
  inventory: Inventory,
  levels: readonly { product_id: number; on_hand: number }[],
): Promise<Restocked> {
  const targets = new Map<number, Target>(
    levels.map(({ product_id, on_hand }) => [product_id, () => on_hand]),
  );
  return inventory.db.transaction((tx) => restock(inventory, tx, targets));
}

/** Sets how many of a product are on hand. @throws BelowReserved */
export function setLevel(inventory: Inventory, product_id: number, on_hand: number): Promise<StockLevel> {
  return restockOne(inventory, product_id, () => on_hand);
}

/** Adds `change` to what is on hand (negative: takes away). @throws BelowReserved, ValidationFailed above MAX_ON_HAND */
export function adjustLevel(inventory: Inventory, product_id: number, change: number): Promise<StockLevel> {
  return restockOne(inventory, product_id, (on_hand) => {
    // Goods of cancelled orders may have come back beyond it: that must not keep anybody from taking some away.
    if (change <= 0 || on_hand + change <= MAX_ON_HAND) return on_hand + change;
    const message = `would put more than ${MAX_ON_HAND} on hand`;
    throw new ValidationFailed({ violations: [{ path: "/change", message }] });
  });
}

function restockOne(inventory: Inventory, product_id: number, target: Target): Promise<StockLevel> {
  return inventory.db.transaction(async (tx) => {
    const { levels, refused } = await restock(inventory, tx, new Map([[product_id, target]]));
    const [refusal] = refused;
    if (refusal) throw new BelowReserved(refusal);
    return levels[0] ?? noStock(product_id);
  });
}

async function restock(
  inventory: Inventory,
  tx: Tx,
  targets: ReadonlyMap<number, Target>,
): Promise<Restocked> {
  const before = await lockLevels(inventory.db, tx, [...targets.keys()]);
  const wanted = before.map((level) => ({
    ...level,
    target: targets.get(level.product_id)?.(level.on_hand) ?? level.on_hand,
  }));
  const refused = wanted.filter(({ target, reserved }) => target < reserved);
  const allowed = wanted.filter(({ target, reserved }) => target >= reserved);
  const rows = await inventory.db.rows<LevelColumns & { available_before: number }>(
    `UPDATE inventory.levels AS level
     SET on_hand = target.on_hand, received = level.received + target.on_hand - level.on_hand
     FROM unnest($1::int[], $2::int[], $3::int[]) AS target (product_id, on_hand, available_before)
     WHERE level.product_id = target.product_id
     RETURNING ${columnsOf("level")}, target.available_before`,
    [
      allowed.map(({ product_id }) => product_id),
      allowed.map(({ target }) => target),
      allowed.map(({ available }) => available),
    ],
    tx,
  );
  const changes = rows.map((row) => ({ level: levelOf(row), available_before: row.available_before }));
  await publishLowStock(inventory, tx, changes);
  return {
    levels: changes.map(({ level }) => level),
    refused: refused.map(({ product_id, reserved }) => ({ product_id, reserved })),
  };
}

/** Locks the levels of these products, in product order as everybody does; makes the rows that are not there. */
async function lockLevels(db: Database, tx: Tx, product_ids: readonly number[]): Promise<StockLevel[]> {
  await db.rows(
    `INSERT INTO inventory.levels (product_id)
     SELECT product_id FROM unnest($1::int[]) AS product_id ORDER BY product_id
     ON CONFLICT DO NOTHING`,
    [product_ids],
    tx,
  );
  const rows = await db.rows<LevelColumns>(
    `SELECT ${columnsOf("level")} FROM inventory.levels AS level
     WHERE product_id = ANY ($1::int[])
     ORDER BY product_id FOR UPDATE`,
    [product_ids],
    tx,
  );
  return rows.map(levelOf);
}

interface FeedPage {
  since: string;
  /** The last product of the page before; 0 for the first page. */
  after: number;
  limit: number;
}

/**
 * The levels that changed at or after `since`, in order of product: a round through them costs one walk through the
 * levels, however many pages it takes. `until` is from where the next round must read, if this is the first page.
 *
 * A change is stamped shortly before its transaction commits, and so may appear behind an `until` that was given
 * already: a reader that must miss nothing begins each round some seconds before the `until` of the last one.
 */
export async function changedLevels(
  db: Database,
  { since, after, limit }: FeedPage,
): Promise<{ levels: StockLevel[]; until: string }> {
  // Asked first: what changes from here on is the next round's.
  const clock = await db.one<{ now: Date }>("SELECT clock_timestamp() AS now");
  const rows = await db.rows<LevelColumns>(
    `SELECT ${columnsOf("level")} FROM inventory.levels AS level
     WHERE level.changed_at >= $1 AND level.product_id > $2
     ORDER BY level.product_id LIMIT $3`,
    [since, after, limit],
  );
  return { levels: rows.map(levelOf), until: clock?.now.toISOString() ?? since };
}
