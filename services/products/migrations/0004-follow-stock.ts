import type { Migration } from "../../../lib/stores/migrate.ts";

/** @param also what the trigger sets before the text that is searched */
const refreshSearch = (also = "") => `
    CREATE OR REPLACE FUNCTION refresh_search() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      category text;
    BEGIN
      SELECT name INTO category FROM products.categories WHERE id = NEW.category_id FOR SHARE;
      ${also}
      NEW.search := products.lexemes(NEW.name, 'A')
        || products.lexemes(replace(products.words(NEW.sku), ' ', ''), 'A')
        || products.lexemes(coalesce(category, ''), 'B')
        || products.lexemes(NEW.description, 'D');
      RETURN NEW;
    END $$;`;

/**
 * What a change of stock costs, of which each order makes two. Beside a BEFORE UPDATE trigger Postgres makes a stored
 * generated column anew at every update: the trigger makes it now, and runs only where a name or a text changes.
 */
export const followStock: Migration = {
  name: "0004-follow-stock",
  up: `
    ALTER TABLE products ALTER COLUMN name_words DROP EXPRESSION;
    ${refreshSearch("NEW.name_words := products.words(NEW.name);")}

    -- Takes over what is available of these products where the version is newer than what they know, and gives the
    -- ids of those that changed. Products come in ascending order: that in which they are locked. A function, because
    -- the same as one joined UPDATE is planned anew at each use, which takes longer than the updates.
    CREATE FUNCTION follow_stock(ids integer[], availables integer[], versions bigint[])
    RETURNS SETOF integer LANGUAGE plpgsql AS $$
    BEGIN
      FOR i IN 1 .. cardinality(ids) LOOP
        UPDATE products.products SET stock_quantity = availables[i], stock_version = versions[i]
        WHERE id = ids[i] AND stock_version < versions[i];
        IF FOUND THEN
          RETURN NEXT ids[i];
        END IF;
      END LOOP;
    END $$;`,
  down: `
    DROP FUNCTION follow_stock;
    ${refreshSearch()}
    ALTER TABLE products DROP COLUMN name_words;
    ALTER TABLE products
      ADD COLUMN name_words text COLLATE "C" GENERATED ALWAYS AS (products.words(name)) STORED;
    CREATE INDEX products_name ON products (name_words, id) WHERE withdrawn_at IS NULL;
    CREATE INDEX products_name_trigrams ON products USING gin (name_words public.gin_trgm_ops)
      WHERE withdrawn_at IS NULL;`,
};
