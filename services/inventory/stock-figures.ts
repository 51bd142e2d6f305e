import type { Sample } from "../../lib/metrics.ts";
import type { Database } from "../../lib/stores/database.ts";

/** The oversell guard: how many levels break what the table's CHECK promises. */
export async function stockSamples(db: Database): Promise<Sample[]> {
  const row = await db.one<{ broken: number }>(
    "SELECT count(*)::integer AS broken FROM inventory.levels WHERE reserved < 0 OR reserved > on_hand",
  );
  return [{ name: "molecart_stock_oversold", labels: {}, value: row?.broken ?? 0 }];
}
