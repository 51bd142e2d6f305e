import type { Migration } from "../../../lib/stores/migrate.ts";

/**
 * Search ignores case and accents. The extensions stay when this is undone: they belong to the whole database, and
 * others may use them by then.
 */
export const search: Migration = {
  name: "0002-search",
  up: String.raw`
    -- Both are trusted: they need no superuser, only CREATE on the database. Functions name their schema, so that no
    -- search_path can put another unaccent in its place.
    CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA public;
    CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

    -- "Café-Crème, 2×" becomes "cafe creme 2": what tells words apart is the same for what is stored and what is asked.
    -- unaccent() is only STABLE because its dictionary can be replaced; this names the one that came with it.
    CREATE FUNCTION words(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
      SELECT btrim(regexp_replace(
        lower(public.unaccent('public.unaccent', normalize(value, NFKC))), '[^a-z0-9\u0080-\U0010ffff]+', ' ', 'g'))
    $$;

    -- Words as they are, for prefixes and names, and their English stems, for "makers" and "maker".
    CREATE FUNCTION lexemes(value text, weight "char") RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    DECLARE
      said text := products.words(value);
    BEGIN
      RETURN setweight(
        to_tsvector('pg_catalog.simple', said) || to_tsvector('pg_catalog.english', said), weight);
    END $$;

    -- The words of a search, and which of them are English's little ones ("of", "with").
    CREATE FUNCTION search_words(value text)
    RETURNS TABLE (place bigint, word text, is_last boolean, is_little boolean)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
      SELECT place, word, place = max(place) OVER (), numnode(to_tsquery('pg_catalog.english', word)) = 0
      FROM regexp_split_to_table(products.words(value), ' ') WITH ORDINALITY AS split (word, place)
      WHERE word <> ''
    $$;

    -- All words but the little ones; the last of them, little or not, as far as it was typed. Or all of them as one, as
    -- SKUs are kept ("HK-COF-0001") and as some write a word ("back pack"). Null if there is none.
    -- With labels ("A", "AB") only where the words have these weights.
    CREATE FUNCTION search_query(value text, labels text DEFAULT '') RETURNS tsquery
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
      SELECT string_agg(
        CASE
          WHEN NOT is_last THEN stem::text
          -- Not the same word twice: ts_rank() takes one of them for both, and maybe the one that isn't a prefix.
          WHEN is_little OR stem = exact THEN beginning::text
          ELSE format('(%s | %s)', beginning, stem)
        END, ' & ' ORDER BY place) FILTER (WHERE is_last OR NOT is_little)::tsquery
        || CASE
          WHEN count(*) > 1
          THEN to_tsquery('pg_catalog.simple', format('%s:*%s', string_agg(word, '' ORDER BY place), labels))
          ELSE ''
        END
      FROM (
        SELECT *,
          to_tsquery('pg_catalog.simple', format('%s:*%s', word, labels)) AS beginning,
          to_tsquery('pg_catalog.simple', format('%s:%s', word, labels)) AS exact,
          to_tsquery('pg_catalog.english', format('%s:%s', word, labels)) AS stem
        FROM products.search_words(value)
      ) AS asked
    $$;

    -- The same with the last word whole.
    CREATE FUNCTION whole_query(value text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT plainto_tsquery('pg_catalog.english', products.words(value)) $$;

    ALTER TABLE categories
      ADD COLUMN name_words text COLLATE "C" GENERATED ALWAYS AS (products.words(name)) STORED;
    ALTER TABLE products
      ADD COLUMN name_words text COLLATE "C" GENERATED ALWAYS AS (products.words(name)) STORED,
      ADD COLUMN search tsvector NOT NULL DEFAULT '';

    -- The name weighs more than the category, and that more than the description. The lock keeps the category from being
    -- renamed between this look and the end of the transaction, which the renaming would not see.
    CREATE FUNCTION refresh_search() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      category text;
    BEGIN
      SELECT name INTO category FROM products.categories WHERE id = NEW.category_id FOR SHARE;
      NEW.search := products.lexemes(NEW.name, 'A')
        || products.lexemes(replace(products.words(NEW.sku), ' ', ''), 'A')
        || products.lexemes(coalesce(category, ''), 'B')
        || products.lexemes(NEW.description, 'D');
      RETURN NEW;
    END $$;
    CREATE TRIGGER products_refresh_search
    BEFORE INSERT OR UPDATE OF name, sku, description, category_id ON products
    FOR EACH ROW EXECUTE FUNCTION refresh_search();

    CREATE FUNCTION refresh_search_of_category() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE products.products SET category_id = category_id WHERE category_id = NEW.id;
      RETURN NULL;
    END $$;
    CREATE TRIGGER categories_refresh_search
    AFTER UPDATE OF name ON categories
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION refresh_search_of_category();

    UPDATE products SET category_id = category_id;

    CREATE INDEX products_name ON products (name_words, id) WHERE withdrawn_at IS NULL;
    CREATE INDEX products_search ON products USING gin (search) WHERE withdrawn_at IS NULL;
    CREATE INDEX products_name_trigrams ON products USING gin (name_words public.gin_trgm_ops)
      WHERE withdrawn_at IS NULL;

    -- What a search with typos may have meant: products that have each of its words, either somewhere as it was typed
    -- (so far) or almost so in the name. At 0.4 one or two letters of a usual word may be wrong.
    CREATE FUNCTION similar_products(value text) RETURNS TABLE (id integer, similarity real)
    LANGUAGE plpgsql STRICT AS $$
    DECLARE
      conditions text;
      scores text;
    BEGIN
      SELECT
        string_agg(format(
          '(p.search @@ %1$L::tsquery OR p.name_words OPERATOR(public.%%>>) %2$L)', query, word), ' AND '),
        string_agg(format(
          'greatest(ts_rank(p.search, %1$L::tsquery), public.strict_word_similarity(%2$L, p.name_words))',
          query, word), ' + ')
      INTO conditions, scores
      FROM (
        SELECT word, to_tsquery('pg_catalog.simple', word || ':*')::text AS query
        FROM products.search_words(value)
        WHERE is_last OR NOT is_little
      ) AS asked;
      IF conditions IS NULL THEN RETURN; END IF;
      PERFORM set_config('pg_trgm.strict_word_similarity_threshold', '0.4', true);
      RETURN QUERY EXECUTE format(
        'SELECT p.id, (%s)::real FROM products.products AS p WHERE p.withdrawn_at IS NULL AND %s',
        scores, conditions);
    END $$;`,
  down: `
    DROP FUNCTION similar_products(text);
    DROP INDEX products_name, products_search, products_name_trigrams;
    DROP TRIGGER categories_refresh_search ON categories;
    DROP TRIGGER products_refresh_search ON products;
    ALTER TABLE products DROP COLUMN search, DROP COLUMN name_words;
    ALTER TABLE categories DROP COLUMN name_words;
    DROP FUNCTION refresh_search_of_category(), refresh_search(), whole_query(text), search_query(text, text),
      search_words(text),
      lexemes(text, "char"), words(text);`,
};
