import { isDeepStrictEqual } from "node:util";
import { IdempotencyMismatch, InsufficientStock, ReservationReleased } from "../../lib/errors.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { LineItem, Reservation, StockLevel } from "./inventory.contract.ts";
import type { Inventory } from "./inventory.ts";
import { mergeItems } from "./line-items.ts";
import { publishLowStock } from "./low-stock.ts";
import {
  claim,
  findItems,
  findReservation,
  prolong,
  reserveAtOnce,
  type Step,
  settle,
  shortages,
  take,
} from "./reservation-store.ts";

/**
 * An order's reservation: reserved → committed → returned, or reserved → released.
 *
 * What holds whoever calls what, in any order, any number of times, on any node:
 * - Never more is reserved than is on hand: an item is taken by an update on that very condition, with the table's
 *   CHECK under it.
 * - Each step takes effect once: an order's row is made once, by its primary key, and moves on by an update on the
 *   state it comes from, together with the levels. Whoever comes later finds the state and answers by it.
 * - Nothing is reserved after a release: the row is never deleted, and a release that comes first leaves a tombstone.
 * - Nobody waits in a circle: the order's row is locked first, then the levels in product order.
 */

/** What a call answers, and the levels it changed. */
export interface Outcome {
  reservation: Reservation;
  changed: StockLevel[];
}

/**
 * Reserves an order's items, all or none. Asked again it answers the same, and prolongs a live reservation.
 *
 * A refusal leaves nothing behind. But a caller who had no answer to an earlier attempt must still release, as that
 * one may be under way.
 *
 * @param expires_at ISO 8601; asked again, a later one prolongs and an earlier one doesn't shorten
 * @throws InsufficientStock with every item that is short, ReservationReleased, IdempotencyMismatch if the order has
 *   reserved other items
 */
export async function reserve(
  inventory: Inventory,
  order_id: string,
  lineItems: readonly LineItem[],
  expires_at: string,
): Promise<Outcome> {
  const { db, lowStockThreshold } = inventory;
  const items = mergeItems(lineItems);
  const until = new Date(expires_at).toISOString();
  const levels = await reserveAtOnce(db, order_id, items, until, lowStockThreshold);
  if (levels) return { reservation: { order_id, state: "reserved", expires_at: until }, changed: levels };
  return await db.transaction(async (tx) => {
    if (!(await claim(db, order_id, "reserved", until, tx))) {
      return { reservation: await reserveAgain(db, tx, order_id, items, until), changed: [] };
    }
    const taken = await take(db, tx, order_id, items);
    const levels = taken.map(({ level }) => level);
    const short = items.filter(({ product_id }) => !levels.some((level) => level.product_id === product_id));
    if (short.length > 0) throw new InsufficientStock({ items: await shortages(db, tx, short) });
    await publishLowStock(inventory, tx, taken);
    return { reservation: { order_id, state: "reserved", expires_at: until }, changed: levels };
  });
}

async function reserveAgain(
  db: Database,
  tx: Tx,
  order_id: string,
  items: readonly LineItem[],
  until: string,
): Promise<Reservation> {
  await prolong(db, tx, order_id, until);
  const reservation = await findReservation(db, order_id, tx);
  if (reservation.state === "released" || reservation.state === "returned") {
    throw new ReservationReleased({ order_id });
  }
  if (!isDeepStrictEqual(await findItems(db, tx, order_id), items)) throw new IdempotencyMismatch({});
  return reservation;
}

/** Turns a reservation into a sale. @throws ReservationReleased, NotFound if nothing was ever reserved */
export async function commit({ db }: Inventory, order_id: string): Promise<Outcome> {
  const outcome = await firstPossible(db, order_id, ["committed"]);
  if (outcome.reservation.state !== "committed") throw new ReservationReleased({ order_id });
  return outcome;
}

// The two that undo need no transaction: claim and step are whole by themselves, and a call that stops between them
// leaves what the next one goes on from. The claim comes first, as it waits for a reserve under way.

/** Undoes `reserve`: gives a live reservation back, and has a later reserve refused. A sale it leaves alone. */
export async function release({ db }: Inventory, order_id: string): Promise<Outcome> {
  await claim(db, order_id, "released", null);
  return await firstPossible(db, order_id, ["released"]);
}

/** Puts a cancelled order's items back, be they reserved or sold, and has a later reserve refused. */
export async function giveBack({ db }: Inventory, order_id: string): Promise<Outcome> {
  await claim(db, order_id, "released", null);
  return await firstPossible(db, order_id, ["released", "returned"]);
}

/** Takes the first step that the reservation's state allows; if none, answers what stands. @throws NotFound */
async function firstPossible(db: Database, order_id: string, steps: readonly Step[]): Promise<Outcome> {
  for (const step of steps) {
    const changed = await settle(db, order_id, step);
    if (changed.length > 0) return { reservation: { order_id, state: step, expires_at: null }, changed };
  }
  return { reservation: await findReservation(db, order_id), changed: [] };
}
