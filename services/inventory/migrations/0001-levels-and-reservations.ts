import type { Migration } from "../../../lib/stores/migrate.ts";

export const levelsAndReservations: Migration = {
  name: "0001-levels-and-reservations",
  up: `
    CREATE SEQUENCE level_versions;

    -- What "never oversells" rests on: whatever the code does, no row can promise more than there is.
    CREATE TABLE levels (
      product_id integer PRIMARY KEY,
      on_hand integer NOT NULL DEFAULT 0,
      reserved integer NOT NULL DEFAULT 0,
      -- These two count for all time, so they are wider than what can lie in a warehouse.
      received bigint NOT NULL DEFAULT 0,
      sold bigint NOT NULL DEFAULT 0,
      version bigint NOT NULL,
      -- To the millisecond, as JavaScript and the feed of changes have it.
      changed_at timestamptz(3) NOT NULL,
      CONSTRAINT levels_no_oversell CHECK (0 <= reserved AND reserved <= on_hand),
      CONSTRAINT levels_nothing_lost CHECK (on_hand + sold = received),
      CONSTRAINT levels_sold_not_negative CHECK (sold >= 0)
    );
    CREATE INDEX levels_changed_at ON levels (changed_at);

    -- No writer can forget it, and it runs under the row's lock: of one product a later change has a higher version.
    CREATE FUNCTION stamp_level() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      NEW.version := nextval('inventory.level_versions');
      NEW.changed_at := clock_timestamp();
      RETURN NEW;
    END $$;
    CREATE TRIGGER stamp_level BEFORE INSERT OR UPDATE ON levels FOR EACH ROW EXECUTE FUNCTION stamp_level();

    -- One row an order, never deleted. A released one without items is a tombstone: the release came first, and
    -- the reserve that is still under way finds the order taken.
    CREATE TABLE reservations (
      order_id uuid PRIMARY KEY,
      state text NOT NULL CHECK (state IN ('reserved', 'committed', 'released', 'returned')),
      expires_at timestamptz(3),
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT reservations_only_live_ones_expire CHECK ((state = 'reserved') = (expires_at IS NOT NULL))
    );
    CREATE INDEX reservations_live ON reservations (expires_at) WHERE state = 'reserved';

    CREATE TABLE reservation_items (
      order_id uuid NOT NULL REFERENCES reservations,
      product_id integer NOT NULL REFERENCES levels,
      quantity integer NOT NULL CHECK (quantity > 0),
      PRIMARY KEY (order_id, product_id)
    );`,
  down: `
    DROP TABLE reservation_items;
    DROP TABLE reservations;
    DROP TABLE levels;
    DROP FUNCTION stamp_level;
    DROP SEQUENCE level_versions;`,
};
