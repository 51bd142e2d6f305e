import type { Migration } from "../../../lib/stores/migrate.ts";

export const orders: Migration = {
  name: "0001-orders",
  up: `
    CREATE SEQUENCE order_number;

    -- Amounts are integer minor units of currency.
    CREATE TABLE orders (
      id uuid PRIMARY KEY,
      number text NOT NULL UNIQUE,
      user_id uuid NOT NULL,
      status text NOT NULL CHECK (status IN
        ('pending', 'confirmed', 'processing', 'shipped', 'delivered', 'cancelled', 'refunded')),
      currency text NOT NULL,
      subtotal integer NOT NULL CHECK (subtotal >= 0),
      shipping integer NOT NULL CHECK (shipping >= 0),
      tax integer NOT NULL CHECK (tax >= 0),
      total integer NOT NULL CHECK (total = subtotal + shipping + tax),
      refunded integer NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND total),
      shipping_address jsonb NOT NULL,
      cart_id text,
      synthetic boolean NOT NULL DEFAULT false,
      payment_id uuid,
      payment_provider text,
      reserved_until timestamptz,
      cancel_reason text,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX orders_user ON orders (user_id, id DESC);
    CREATE INDEX orders_status ON orders (status, id DESC);
    -- One filling of a cart makes one order; a cancelled one frees the cart for another try.
    CREATE UNIQUE INDEX orders_live_cart ON orders (cart_id) WHERE cart_id IS NOT NULL AND status <> 'cancelled';

    -- Copies of what the product was when it was ordered: a later change or withdrawal doesn't reach it.
    CREATE TABLE items (
      order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
      product_id integer NOT NULL,
      sku text NOT NULL,
      name text NOT NULL,
      unit_price integer NOT NULL CHECK (unit_price >= 0),
      quantity integer NOT NULL CHECK (quantity > 0),
      PRIMARY KEY (order_id, product_id)
    );

    CREATE TABLE history (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
      at timestamptz NOT NULL DEFAULT clock_timestamp(),
      from_status text,
      to_status text NOT NULL,
      reason text,
      actor text NOT NULL CHECK (actor IN ('customer', 'admin', 'system'))
    );
    CREATE INDEX history_order ON history (order_id, id);

    -- Who drives a saga holds its lease; each take-over raises the fence, and every write of a driver names its fence,
    -- so that one that was frozen past its lease writes nothing.
    CREATE TABLE sagas (
      id uuid PRIMARY KEY,
      order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
      kind text NOT NULL CHECK (kind IN ('checkout', 'closing')),
      state text NOT NULL CHECK (state IN ('running', 'compensating', 'waiting', 'parked', 'done', 'undone')),
      step text,
      data jsonb NOT NULL,
      attempts integer NOT NULL DEFAULT 0,
      last_error text,
      fence bigint NOT NULL DEFAULT 1,
      owner text,
      lease_until timestamptz,
      job_id uuid NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    -- A payment, a cancellation and an expiry of one order can't run at the same time.
    CREATE UNIQUE INDEX sagas_live ON sagas (order_id) WHERE state NOT IN ('done', 'undone');
    CREATE INDEX sagas_state ON sagas (state, updated_at) WHERE state NOT IN ('done', 'undone');

    CREATE TABLE checkout_keys (
      user_id uuid NOT NULL,
      key text NOT NULL,
      request_hash text NOT NULL,
      -- Deferred: the key is claimed first, so that of 50 equal requests 49 stop before they write an order.
      order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      -- The first answer, once there is one: {order} or {failure}.
      answer jsonb,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (user_id, key)
    );
    CREATE INDEX checkout_keys_order ON checkout_keys (order_id);
    CREATE INDEX checkout_keys_created ON checkout_keys (created_at);`,
  down: `
    DROP TABLE checkout_keys, sagas, history, items, orders;
    DROP SEQUENCE order_number;`,
};
