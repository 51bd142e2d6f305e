import type { Database } from "../../lib/stores/database.ts";
import type { LowStock } from "./products.contract.ts";

const SHOWN = 50;

/**
 * Which products run out, by the catalogue's own view of the stock.
 * @param threshold how many are few
 */
export async function lowStock(db: Database, threshold: number): Promise<LowStock> {
  const rows = await db.rows<LowStock["products"][number] & { total: number }>(
    `SELECT id, sku, name, stock_quantity AS available, (count(*) OVER ())::integer AS total
     FROM products.products WHERE withdrawn_at IS NULL AND stock_quantity <= $1
     ORDER BY stock_quantity, id LIMIT $2`,
    [threshold, SHOWN],
  );
  return {
    threshold,
    count: rows[0]?.total ?? 0,
    products: rows.map(({ total, ...product }) => product),
  };
}
