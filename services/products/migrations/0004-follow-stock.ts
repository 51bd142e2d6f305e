import type { Migration } from "../../../lib/stores/migrate.ts";

export const followStock: Migration = {
  name: "0004-follow-stock",
  up: `
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
  down: "DROP FUNCTION follow_stock;",
};
