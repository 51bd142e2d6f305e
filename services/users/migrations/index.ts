import type { Migration } from "../../../lib/stores/migrate.ts";
import { users } from "./0001-users.ts";

export const migrations: readonly Migration[] = [users];
