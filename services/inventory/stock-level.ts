import type { StockLevel } from "./inventory.contract.ts";
import type { LevelRow } from "./inventory.model.ts";

const COLUMNS = ["product_id", "on_hand", "reserved", "received", "sold", "version"] as const;

/** What a statement must return for {@link levelOf}. */
export type LevelColumns = Pick<LevelRow, (typeof COLUMNS)[number]>;

/** The columns of {@link LevelColumns} of a table of that alias. */
export function columnsOf(alias: string): string {
  return COLUMNS.map((column) => `${alias}.${column}`).join(", ");
}

export function levelOf(row: LevelColumns): StockLevel {
  const { product_id, on_hand, reserved } = row;
  return {
    product_id,
    on_hand,
    reserved,
    available: on_hand - reserved,
    received: Number(row.received),
    sold: Number(row.sold),
    version: Number(row.version),
  };
}

/** A level as it stands now, and how many were available before. */
export interface LevelChange {
  level: StockLevel;
  available_before: number;
}

/** The level of a product that was never stocked: there is no row for it. */
export function noStock(product_id: number): StockLevel {
  return { product_id, on_hand: 0, reserved: 0, available: 0, received: 0, sold: 0, version: 0 };
}
