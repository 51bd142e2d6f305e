import type { Migration } from "../../../lib/stores/migrate.ts";
import { levelsAndReservations } from "./0001-levels-and-reservations.ts";
import { takeAndSettle } from "./0002-take-and-settle.ts";
import { reserve } from "./0003-reserve.ts";

export const migrations: readonly Migration[] = [levelsAndReservations, takeAndSettle, reserve];
