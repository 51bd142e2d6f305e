import type { Migration } from "../../../lib/stores/migrate.ts";

/**
 * The two writes of the checkout. They are functions so that a hot product's level is locked for one round trip and
 * not for one an item, and because Postgres plans them once a connection: half the time of the same statements sent
 * one by one. Both lock an order's row first (`take`'s caller has inserted it) and then levels in product order, as
 * every writer does, so that nobody waits in a circle.
 */
export const takeAndSettle: Migration = {
  name: "0002-take-and-settle",
  up: `
    -- Reserves each item whose level has enough, and gives the levels it took from. A caller who gets fewer levels than
    -- it has items must roll back.
    CREATE FUNCTION take(the_order uuid, products integer[], quantities integer[])
    RETURNS SETOF levels LANGUAGE plpgsql AS $$
    DECLARE
      item record;
    BEGIN
      FOR item IN
        SELECT product_id, quantity FROM unnest(products, quantities) AS item (product_id, quantity) ORDER BY product_id
      LOOP
        RETURN QUERY
          UPDATE inventory.levels AS level SET reserved = level.reserved + item.quantity
          WHERE level.product_id = item.product_id AND level.on_hand - level.reserved >= item.quantity
          RETURNING level.*;
        IF FOUND THEN
          INSERT INTO inventory.reservation_items (order_id, product_id, quantity)
          VALUES (the_order, item.product_id, item.quantity);
        END IF;
      END LOOP;
    END $$;

    -- Moves a reservation from one state to another and each of its levels with it: by so many times the item's
    -- quantity (-1, 0 or 1). Gives the levels; none, and changes nothing, if the reservation is in another state.
    CREATE FUNCTION settle(
      the_order uuid, old_state text, new_state text, on_hand_by integer, reserved_by integer, sold_by integer
    ) RETURNS SETOF levels LANGUAGE plpgsql AS $$
    DECLARE
      item record;
    BEGIN
      UPDATE inventory.reservations SET state = new_state, expires_at = NULL, updated_at = now()
      WHERE order_id = the_order AND state = old_state;
      IF NOT FOUND THEN
        RETURN;
      END IF;
      FOR item IN
        SELECT product_id, quantity FROM inventory.reservation_items WHERE order_id = the_order ORDER BY product_id
      LOOP
        RETURN QUERY
          UPDATE inventory.levels AS level SET
            on_hand = level.on_hand + on_hand_by * item.quantity,
            reserved = level.reserved + reserved_by * item.quantity,
            sold = level.sold + sold_by * item.quantity
          WHERE level.product_id = item.product_id
          RETURNING level.*;
      END LOOP;
    END $$;`,
  down: `
    DROP FUNCTION settle;
    DROP FUNCTION take;`,
};
