import type { Migration } from "../../../lib/stores/migrate.ts";
import { orders } from "./0001-orders.ts";

export const migrations: readonly Migration[] = [orders];
