import { idFrom } from "../../lib/ids.ts";
import type { Database } from "../../lib/stores/database.ts";

/** What was ordered in one minute. */
export interface SalesMinute {
  /** ISO 8601 */
  minute: string;
  /** Placed. */
  orders: number;
  /** Of these, confirmed or beyond. */
  paid: number;
  /** Of the paid ones, less what was refunded. Minor units. */
  revenue: number;
}

const MINUTE = 60_000;
const MINUTES = 60;
/** Minutes that are read each time: an order is confirmed within a moment, or waits for its payment. */
const RECENT = 2;
/** ms after which the older ones are read again: what waited was paid, something was refunded. */
const WHOLE_AGAIN = 30_000;

/** Orders and revenue by minute, of the last hour. Kept here, so that a live screen costs a look at the last minutes. */
export class SalesFigures {
  readonly #db: Database;
  readonly #currency: string;
  #known = new Map<number, SalesMinute>();
  #wholeAt = Number.NEGATIVE_INFINITY;

  constructor(db: Database, currency: string) {
    this.#db = db;
    this.#currency = currency;
  }

  /** @param now ms since 1970 @returns 60 minutes, the oldest first; the last one is under way */
  async minutes(now: number): Promise<SalesMinute[]> {
    const last = Math.floor(now / MINUTE) * MINUTE;
    const isWhole = now - this.#wholeAt >= WHOLE_AGAIN;
    const first = last - (isWhole ? MINUTES - 1 : RECENT) * MINUTE;
    const read = await this.#read(first);
    const known = isWhole ? new Map<number, SalesMinute>() : this.#known;
    for (let at = first; at <= last; at += MINUTE) known.set(at, read.get(at) ?? nothing(at));
    this.#known = known;
    if (isWhole) this.#wholeAt = now;
    for (const at of known.keys()) if (at <= last - MINUTES * MINUTE) known.delete(at);
    return Array.from({ length: MINUTES }, (_, index) => {
      const at = last - (MINUTES - 1 - index) * MINUTE;
      return known.get(at) ?? nothing(at);
    });
  }

  async #read(first: number): Promise<Map<number, SalesMinute>> {
    const rows = await this.#db.rows<Omit<SalesMinute, "minute"> & { at: number }>(
      `SELECT (extract(epoch FROM date_trunc('minute', created_at)) * 1000)::float8 AS at,
         count(*)::integer AS orders,
         (count(*) FILTER (WHERE status NOT IN ('pending', 'cancelled')))::integer AS paid,
         coalesce(sum(total - refunded) FILTER (WHERE status NOT IN ('pending', 'cancelled')), 0)::float8 AS revenue
       FROM orders.orders
       WHERE id >= $1 AND created_at >= to_timestamp($2::float8 / 1000) AND currency = $3 GROUP BY 1`,
      // Ids are UUIDv7 and the primary key: it finds the last orders. A node's clock may be a little behind.
      [idFrom(first - MINUTE), first, this.#currency],
    );
    return new Map(
      rows.map(({ at, ...figures }) => [at, { minute: new Date(at).toISOString(), ...figures }]),
    );
  }
}

const nothing = (at: number): SalesMinute => ({
  minute: new Date(at).toISOString(),
  orders: 0,
  paid: 0,
  revenue: 0,
});
