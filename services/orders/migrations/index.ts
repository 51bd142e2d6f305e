import type { Migration } from "../../../lib/stores/migrate.ts";
import { orders } from "./0001-orders.ts";
import { liveFilling } from "./0002-live-filling.ts";
import { room } from "./0003-room.ts";
import { answersAsGiven } from "./0004-answers-as-given.ts";

export const migrations: readonly Migration[] = [orders, liveFilling, room, answersAsGiven];
