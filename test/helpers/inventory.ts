import pg from "pg";
import { failureCode } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { LineItem, Reservation, StockLevel } from "../../services/inventory/inventory.contract.ts";
import type { Shop } from "./shop.ts";

/** The calls of the inventory that its tests make, on products of their own. */
export function inventoryOf({ call }: Pick<Shop, "call">) {
  let products = 0;
  return {
    newProduct: () => ++products,

    /** A product that nobody else uses, with this many on hand. @returns its id */
    async stocked(on_hand: number): Promise<number> {
      const product_id = ++products;
      await call("inventory.set", { product_id, on_hand });
      return product_id;
    },

    async level(product_id: number): Promise<StockLevel> {
      const [level] = await call("inventory.levels", { product_ids: [product_id] });
      if (!level) throw new Error(`inventory.levels did not answer for product ${product_id}`);
      return level;
    },

    /** An order that has reserved these items. @returns its id */
    async reserved(...items: LineItem[]): Promise<string> {
      const order_id = newId();
      await call("inventory.reserve", { order_id, items, expires_at: inSeconds(3600) });
      return order_id;
    },

    reserve: (order_id: string, items: LineItem[], expires_at = inSeconds(3600)): Promise<Reservation> =>
      call("inventory.reserve", { order_id, items, expires_at }),
    commit: (order_id: string): Promise<Reservation> => call("inventory.commit", { order_id }),
    release: (order_id: string): Promise<Reservation> => call("inventory.release", { order_id }),
    giveBack: (order_id: string): Promise<Reservation> => call("inventory.giveBack", { order_id }),
    audit: () => call("inventory.audit", {}),
  };
}

export const one = (product_id: number): LineItem => ({ product_id, quantity: 1 });

export function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

/** How many calls succeeded, and how many failed with each code: `{ ok: 10, INSUFFICIENT_STOCK: 190 }`. */
export async function tally(calls: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of await Promise.allSettled(calls)) {
    const key = result.status === "fulfilled" ? "ok" : (failureCode(result.reason) ?? String(result.reason));
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** Runs one statement on a shop's database behind the services' back. */
export async function runSql<R extends pg.QueryResultRow>(
  shop: Pick<Shop, "databaseUrl">,
  text: string,
  values: unknown[] = [],
): Promise<R[]> {
  const client = new pg.Client({ connectionString: shop.databaseUrl });
  await client.connect();
  try {
    return (await client.query<R>(text, values)).rows;
  } finally {
    await client.end();
  }
}
