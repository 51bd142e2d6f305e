import type { Migration } from "../../../lib/stores/migrate.ts";

/** The sandbox provider's own books. They belong to the outside: no other table refers to them. */
export const sandbox: Migration = {
  name: "0002-sandbox",
  up: `
    CREATE TABLE sandbox_charges (
      key text PRIMARY KEY,
      ref text NOT NULL UNIQUE,
      order_id uuid NOT NULL,
      amount integer NOT NULL CHECK (amount >= 0),
      currency text NOT NULL,
      -- Why it was declined; null: it was captured.
      declined text,
      created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX sandbox_charges_order ON sandbox_charges (order_id);

    CREATE TABLE sandbox_refunds (
      key text PRIMARY KEY,
      ref text NOT NULL UNIQUE,
      charge_ref text NOT NULL REFERENCES sandbox_charges (ref),
      amount integer NOT NULL CHECK (amount > 0),
      created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX sandbox_refunds_charge ON sandbox_refunds (charge_ref);`,
  down: "DROP TABLE sandbox_refunds, sandbox_charges;",
};
