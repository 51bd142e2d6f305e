import { NotFound, type Shortage } from "../../lib/errors.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { LineItem, Reservation, StockLevel } from "./inventory.contract.ts";
import { columnsOf, type LevelChange, type LevelColumns, levelOf } from "./stock-level.ts";

/**
 * The statements that reservations consist of; those that change levels are functions in the database
 * (migrations/0002-take-and-settle.ts, 0003-reserve.ts).
 */

/**
 * Makes an order's reservation and takes its items, if nothing else is to be said or done.
 * @param items one a product, in product order
 * @param expires_at ISO 8601
 * @param low what is available of a product must not fall from above this to it or below
 * @returns the levels it changed; undefined, and nothing has changed, if the order has a reservation, an item is short
 *   or a level would fall low
 */
export async function reserveAtOnce(
  db: Database,
  order_id: string,
  items: readonly LineItem[],
  expires_at: string,
  low: number,
): Promise<StockLevel[] | undefined> {
  const rows = await db.rows<LevelColumns>(
    `SELECT ${columnsOf("level")} FROM inventory.reserve($1, $2, $3, $4, $5) AS level`,
    [order_id, expires_at, ...arraysOf(items), low],
  );
  return rows.length === 0 ? undefined : rows.map(levelOf);
}

/**
 * Makes an order's reservation, in this state, if there is none. Waits for a transaction that is just making one.
 * @param expires_at for a live one (`reserved`); null for the tombstone of an order that was released first
 * @returns whether there was none
 */
export async function claim(
  db: Database,
  order_id: string,
  state: "reserved" | "released",
  expires_at: string | null,
  tx?: Tx,
): Promise<boolean> {
  const rows = await db.rows(
    `INSERT INTO inventory.reservations (order_id, state, expires_at) VALUES ($1, $2, $3)
     ON CONFLICT DO NOTHING
     RETURNING order_id`,
    [order_id, state, expires_at],
    tx,
  );
  return rows.length > 0;
}

/**
 * Reserves each item whose level has enough, for an order just claimed.
 * @param items one a product
 * @returns what it took. If an item is missing there, the transaction must be rolled back.
 */
export async function take(
  db: Database,
  tx: Tx,
  order_id: string,
  items: readonly LineItem[],
): Promise<LevelChange[]> {
  const rows = await db.rows<LevelColumns & { taken: number }>(
    `SELECT ${columnsOf("level")}, item.quantity AS taken
     FROM inventory.take($1, $2, $3) AS level
       JOIN unnest($2::int[], $3::int[]) AS item (product_id, quantity) USING (product_id)`,
    [order_id, ...arraysOf(items)],
    tx,
  );
  return rows.map((row) => {
    const level = levelOf(row);
    return { level, available_before: level.available + row.taken };
  });
}

/** Why these items were just refused. What has been given back since then is not counted. */
export async function shortages(db: Database, tx: Tx, items: readonly LineItem[]): Promise<Shortage[]> {
  return await db.rows<Shortage>(
    `SELECT product_id, item.quantity AS requested,
       least(coalesce(level.on_hand - level.reserved, 0), item.quantity - 1) AS available
     FROM unnest($1::int[], $2::int[]) AS item (product_id, quantity)
       LEFT JOIN inventory.levels AS level USING (product_id)
     ORDER BY product_id`,
    arraysOf(items),
    tx,
  );
}

function arraysOf(items: readonly LineItem[]): [number[], number[]] {
  return [items.map(({ product_id }) => product_id), items.map(({ quantity }) => quantity)];
}

/** The steps of a reservation: where each starts, and by how many times an item's quantity it moves the level. */
const STEPS = {
  released: { from: "reserved", on_hand: 0, reserved: -1, sold: 0 },
  committed: { from: "reserved", on_hand: -1, reserved: -1, sold: 1 },
  returned: { from: "committed", on_hand: 1, reserved: 0, sold: -1 },
} as const;
export type Step = keyof typeof STEPS;

/**
 * Takes an order's reservation one step on, if it stands where that step starts.
 * @returns the levels it changed; none if it stands elsewhere, and nothing was done (a live reservation has an item)
 */
export async function settle(db: Database, order_id: string, step: Step): Promise<StockLevel[]> {
  const { from, on_hand, reserved, sold } = STEPS[step];
  const rows = await db.rows<LevelColumns>("SELECT * FROM inventory.settle($1, $2, $3, $4, $5, $6)", [
    order_id,
    from,
    step,
    on_hand,
    reserved,
    sold,
  ]);
  return rows.map(levelOf);
}

/** Lets a live reservation live until `expires_at`, if that is later than it does. */
export async function prolong(db: Database, tx: Tx, order_id: string, expires_at: string): Promise<void> {
  await db.rows(
    `UPDATE inventory.reservations SET expires_at = $2, updated_at = now()
     WHERE order_id = $1 AND state = 'reserved' AND expires_at < $2`,
    [order_id, expires_at],
    tx,
  );
}

/** @throws NotFound */
export async function findReservation(db: Database, order_id: string, tx?: Tx): Promise<Reservation> {
  const row = await db.one<Pick<Reservation, "state"> & { expires_at: Date | null }>(
    "SELECT state, expires_at FROM inventory.reservations WHERE order_id = $1",
    [order_id],
    tx,
  );
  if (!row) throw new NotFound({ what: "reservation", id: order_id });
  return { order_id, state: row.state, expires_at: row.expires_at?.toISOString() ?? null };
}

/** What an order has reserved, in product order. */
export async function findItems(db: Database, tx: Tx, order_id: string): Promise<LineItem[]> {
  return await db.rows<LineItem>(
    "SELECT product_id, quantity FROM inventory.reservation_items WHERE order_id = $1 ORDER BY product_id",
    [order_id],
    tx,
  );
}
