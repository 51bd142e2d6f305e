import type { Migration } from "../../../lib/stores/migrate.ts";
import { catalogue } from "./0001-catalogue.ts";
import { search } from "./0002-search.ts";

export const migrations: readonly Migration[] = [catalogue, search];
