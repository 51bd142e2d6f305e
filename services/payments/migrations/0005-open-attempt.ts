import type { Migration } from "../../../lib/stores/migrate.ts";

/**
 * The beginning of every charge. A function, so that it is one round trip: within it, unlike within one statement, the
 * look for a tombstone sees all that was committed before the lock was given.
 */
export const openAttempt: Migration = {
  name: "0005-open-attempt",
  up: `
    -- Begins an attempt; gives nothing if its key is taken, another attempt of the order is live, or the order is
    -- cancelled. The lock keeps a cancellation from coming between the look for its tombstone and the row.
    CREATE FUNCTION open_attempt(
      the_id uuid, the_key text, the_order uuid, the_user uuid, the_amount integer, the_currency text,
      the_provider text, the_check timestamptz
    ) RETURNS SETOF payments LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(hashtextextended(the_order::text, 0));
      RETURN QUERY
        INSERT INTO payments.payments (id, key, order_id, user_id, amount, currency, provider, check_at)
        SELECT the_id, the_key, the_order, the_user, the_amount, the_currency, the_provider, the_check
        WHERE NOT EXISTS (SELECT 1 FROM payments.cancelled_orders WHERE order_id = the_order)
        ON CONFLICT DO NOTHING RETURNING *;
    END $$;`,
  down: "DROP FUNCTION open_attempt;",
};
