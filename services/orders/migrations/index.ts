import type { Migration } from "../../../lib/stores/migrate.ts";
import { orders } from "./0001-orders.ts";
import { liveFilling } from "./0002-live-filling.ts";
import { room } from "./0003-room.ts";

export const migrations: readonly Migration[] = [orders, liveFilling, room];
