import type { Migration } from "../../../lib/stores/migrate.ts";

/**
 * The reservation of the usual checkout in one round trip. And room for it: a level is written four times for each
 * order, which Postgres does in place (HOT) only where no B-tree has what changes and the page has room.
 */
export const reserve: Migration = {
  name: "0003-reserve",
  up: `
    DROP INDEX levels_changed_at;
    CREATE INDEX levels_changed_at ON levels USING brin (changed_at) WITH (pages_per_range = 16);
    ALTER TABLE levels SET (fillfactor = 50);
    -- A reservation changes in place, too: who audits them reads all.
    DROP INDEX reservations_live;
    ALTER TABLE reservations SET (fillfactor = 70);

    -- Makes an order's reservation and takes its items (products in ascending order), and gives the levels it took from.
    -- Gives none, and changes nothing, where there is more to say: the order has a reservation, an item is short, or a
    -- level falls to low or below, which is told in the same transaction.
    CREATE FUNCTION reserve(
      the_order uuid, until timestamptz, products integer[], quantities integer[], low integer
    ) RETURNS SETOF levels LANGUAGE plpgsql AS $$
    DECLARE
      level inventory.levels;
      taken inventory.levels[] := '{}';
    BEGIN
      INSERT INTO inventory.reservations (order_id, state, expires_at) VALUES (the_order, 'reserved', until)
      ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        RETURN;
      END IF;
      FOR i IN 1 .. cardinality(products) LOOP
        UPDATE inventory.levels SET reserved = reserved + quantities[i]
        WHERE product_id = products[i] AND on_hand - reserved >= quantities[i]
        RETURNING * INTO level;
        IF NOT FOUND
          OR level.on_hand - level.reserved <= low AND level.on_hand - level.reserved + quantities[i] > low THEN
          RAISE EXCEPTION USING ERRCODE = 'MC001';
        END IF;
        taken := taken || level;
      END LOOP;
      INSERT INTO inventory.reservation_items (order_id, product_id, quantity)
      SELECT the_order, item.* FROM unnest(products, quantities) AS item;
      RETURN QUERY SELECT * FROM unnest(taken);
    EXCEPTION WHEN SQLSTATE 'MC001' THEN
      -- What was done above is undone.
      RETURN;
    END $$;`,
  down: `
    DROP FUNCTION reserve;
    ALTER TABLE reservations RESET (fillfactor);
    CREATE INDEX reservations_live ON reservations (expires_at) WHERE state = 'reserved';
    ALTER TABLE levels RESET (fillfactor);
    DROP INDEX levels_changed_at;
    CREATE INDEX levels_changed_at ON levels (changed_at);`,
};
