import type { SqlService } from "../lib/service-names.ts";
import type { Migration } from "../lib/stores/migrate.ts";
import { migrations as inventory } from "./inventory/migrations/index.ts";
import { migrations as orders } from "./orders/migrations/index.ts";
import { migrations as payments } from "./payments/migrations/index.ts";
import { migrations as products } from "./products/migrations/index.ts";
import { migrations as users } from "./users/migrations/index.ts";

/** The history of each service's schema, for whoever migrates without running the services. */
export const migrations: Record<SqlService, readonly Migration[]> = {
  users,
  products,
  inventory,
  orders,
  payments,
};
