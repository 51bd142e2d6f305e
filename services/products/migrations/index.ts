import type { Migration } from "../../../lib/stores/migrate.ts";
import { catalogue } from "./0001-catalogue.ts";
import { search } from "./0002-search.ts";
import { searchableWords } from "./0003-searchable-words.ts";
import { followStock } from "./0004-follow-stock.ts";
import { vocabulary } from "./0005-vocabulary.ts";
import { withoutNameTrigrams } from "./0006-without-name-trigrams.ts";

export const migrations: readonly Migration[] = [
  catalogue,
  search,
  searchableWords,
  followStock,
  vocabulary,
  withoutNameTrigrams,
];
