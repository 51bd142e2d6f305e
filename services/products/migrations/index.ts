import type { Migration } from "../../../lib/stores/migrate.ts";
import { catalogue } from "./0001-catalogue.ts";
import { search } from "./0002-search.ts";
import { searchableWords } from "./0003-searchable-words.ts";
import { followStock } from "./0004-follow-stock.ts";

export const migrations: readonly Migration[] = [catalogue, search, searchableWords, followStock];
