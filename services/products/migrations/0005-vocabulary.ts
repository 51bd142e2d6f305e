import type { Migration } from "../../../lib/stores/migrate.ts";

/**
 * A search with a typo compares what was typed with the words that names are made of, and then asks the index for those
 * that are almost the same. Compared with each name, it took five times as long as a search for the right word.
 */
export const vocabulary: Migration = {
  name: "0005-vocabulary",
  up: `
    -- Words that a name has, or once had. Not unique, so that imports that bring the same word wait for no other: what
    -- searches takes each once.
    CREATE TABLE vocabulary (word text COLLATE "C" NOT NULL);
    CREATE INDEX vocabulary_word ON vocabulary (word);

    -- A number is no other number's typo, and there may be one for each product.
    CREATE FUNCTION learn_words(names text[]) RETURNS void LANGUAGE sql AS $$
      INSERT INTO products.vocabulary
      SELECT word
      FROM (
        SELECT DISTINCT word FROM unnest(names) AS name, string_to_table(name, ' ') AS word WHERE word ~ '[^0-9]'
      ) AS said
      WHERE NOT EXISTS (SELECT FROM products.vocabulary AS known WHERE known.word = said.word COLLATE "C")
    $$;
    CREATE FUNCTION learn_words_of_new() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM products.learn_words(array_agg(name_words)) FROM added;
      RETURN NULL;
    END $$;
    CREATE FUNCTION learn_words_of_renamed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM products.learn_words(ARRAY[NEW.name_words]);
      RETURN NULL;
    END $$;
    CREATE TRIGGER products_learn_words_of_new AFTER INSERT ON products
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION learn_words_of_new();
    -- By row: what looks at whole statements can't leave out changes of stock.
    CREATE TRIGGER products_learn_words_of_renamed AFTER UPDATE OF name ON products
    FOR EACH ROW WHEN (OLD.name_words IS DISTINCT FROM NEW.name_words) EXECUTE FUNCTION learn_words_of_renamed();

    SELECT learn_words(array_agg(name_words)) FROM products WHERE withdrawn_at IS NULL GROUP BY id / 1000;
    -- Each search reads through what an import has only put aside: by default 4 MB, which took it 30 ms.
    CREATE INDEX vocabulary_trigrams ON vocabulary USING gin (word public.gin_trgm_ops) WITH (gin_pending_list_limit = 256);

    -- How a word may have been meant, and how near that is: as it was typed (so far), written apart, or as one of the ten
    -- words that look most like it. At 0.4 one or two letters of a usual word may be wrong.
    CREATE FUNCTION spellings(typed text) RETURNS TABLE (query text, nearness real)
    LANGUAGE sql STABLE STRICT SET pg_trgm.similarity_threshold = 0.4
    AS $$
      SELECT format('(%L:A <-> %L:A)', a, b), public.similarity(a || ' ' || b, typed)
      FROM generate_series(2, length(typed) - 2) AS at, left(typed, at) AS a, substr(typed, at + 1) AS b
      WHERE (a !~ '[^0-9]' OR EXISTS (SELECT FROM products.vocabulary WHERE word = a COLLATE "C"))
        AND (b !~ '[^0-9]' OR EXISTS (SELECT FROM products.vocabulary WHERE word = b COLLATE "C"))
      UNION ALL (
        SELECT format('%L:A', word), public.similarity(word, typed)
        FROM products.vocabulary
        WHERE word OPERATOR(public.%) typed AND NOT starts_with(word, typed)
        GROUP BY word
        ORDER BY 2 DESC, word COLLATE "C" LIMIT 10)
    $$;

    -- What a search with typos may have meant: each of its words, either somewhere as it was typed or in the name as it
    -- may have been meant; and the same with the nearest spellings alone. Null if it has no word.
    CREATE FUNCTION similar_query(value text, OUT meant tsquery, OUT nearest tsquery, OUT nearest_in_name tsquery)
    LANGUAGE sql STABLE STRICT
    AS $$
      SELECT
        string_agg(format('(%s)', concat_ws(' | ', typed, near, further)), ' & ' ORDER BY place)::tsquery,
        string_agg(format('(%s)', concat_ws(' | ', typed, near)), ' & ' ORDER BY place)::tsquery,
        string_agg(format('(%s)', concat_ws(' | ', typed_in_name, near)), ' & ' ORDER BY place)::tsquery
      FROM (
        SELECT place, word,
          to_tsquery('pg_catalog.simple', word || ':*')::text AS typed,
          to_tsquery('pg_catalog.simple', word || ':*A')::text AS typed_in_name
        FROM products.search_words(value)
        WHERE is_last OR NOT is_little
      ) AS asked,
      LATERAL (
        SELECT
          string_agg(query, ' | ') FILTER (WHERE rank = 1) AS near,
          string_agg(query, ' | ') FILTER (WHERE rank > 1) AS further
        FROM (SELECT query, rank() OVER (ORDER BY nearness DESC) FROM products.spellings(asked.word)) AS spelled
      ) AS alike
    $$;`,
  down: `
    DROP FUNCTION similar_query(text), spellings(text);
    DROP TRIGGER products_learn_words_of_new ON products;
    DROP TRIGGER products_learn_words_of_renamed ON products;
    DROP FUNCTION learn_words_of_new(), learn_words_of_renamed(), learn_words(text[]);
    DROP TABLE vocabulary;`,
};
