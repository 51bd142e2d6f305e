import type { Migration } from "../../../lib/stores/migrate.ts";

const searchWords = (condition: string) => `
  CREATE OR REPLACE FUNCTION search_words(value text)
  RETURNS TABLE (place bigint, word text, is_last boolean, is_little boolean)
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  AS $$
    SELECT place, word, place = max(place) OVER (), numnode(to_tsquery('pg_catalog.english', word)) = 0
    FROM regexp_split_to_table(products.words(value), ' ') WITH ORDINALITY AS split (word, place)
    WHERE ${condition}
  $$;`;

/** "€" and "☕" are no words to Postgres: what isn't kept of a text can't be asked for, and makes no valid tsquery. */
export const searchableWords: Migration = {
  name: "0003-searchable-words",
  up: searchWords("word <> '' AND numnode(to_tsquery('pg_catalog.simple', word)) > 0"),
  down: searchWords("word <> ''"),
};
