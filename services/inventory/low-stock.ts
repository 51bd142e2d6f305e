import type { Tx } from "../../lib/stores/database.ts";
import type { Inventory } from "./inventory.ts";
import type { LevelChange } from "./stock-level.ts";

/** True if what is available fell from above `threshold` to it or below: once per crossing, not once per sale below it. */
export function fellLow({ level, available_before }: LevelChange, threshold: number): boolean {
  return available_before > threshold && level.available <= threshold;
}

/** Publishes `stock.low` for each product that fell low, in the transaction that made it so. */
export async function publishLowStock(
  { publish, lowStockThreshold: threshold }: Inventory,
  tx: Tx,
  changes: readonly LevelChange[],
): Promise<void> {
  for (const change of changes) {
    if (!fellLow(change, threshold)) continue;
    const { product_id, available } = change.level;
    await publish(tx, "stock.low", { product_id, available, threshold });
  }
}
