import type { Database } from "../../lib/stores/database.ts";
import type { JobsThis } from "../../mixins/jobs.ts";

/** What the functions of this domain work with. */
export interface Inventory {
  readonly db: Database;
  readonly publish: JobsThis["publish"];
  /** Units available at which a product counts as low. */
  readonly lowStockThreshold: number;
}
