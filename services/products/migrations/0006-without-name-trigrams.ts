import type { Migration } from "../../../lib/stores/migrate.ts";

/**
 * Names are no longer compared with what was typed: their words are. The index cost each import a good part of its time.
 * Nodes of the version before ask similar_products() until they are gone, which gets by without it, more slowly. By itself,
 * as who drops an index holds up all readers: it would be for as long as the words are collected.
 */
export const withoutNameTrigrams: Migration = {
  name: "0006-without-name-trigrams",
  up: "DROP INDEX products_name_trigrams;",
  down: `
    CREATE INDEX products_name_trigrams ON products USING gin (name_words public.gin_trgm_ops)
      WHERE withdrawn_at IS NULL;`,
};
