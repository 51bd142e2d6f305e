import type { Migration } from "../../../lib/stores/migrate.ts";

/** Finds the live orders of one filling of a cart: its id is `<filling>.<revision>`. */
export const liveFilling: Migration = {
  name: "0002-live-filling",
  up: `CREATE INDEX orders_live_filling ON orders (split_part(cart_id, '.', 1))
    WHERE cart_id IS NOT NULL AND status <> 'cancelled';`,
  down: "DROP INDEX orders_live_filling;",
};
