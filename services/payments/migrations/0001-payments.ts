import type { Migration } from "../../../lib/stores/migrate.ts";

export const payments: Migration = {
  name: "0001-payments",
  up: `
    -- One attempt to charge an order. Amounts are integer minor units of currency.
    CREATE TABLE payments (
      id uuid PRIMARY KEY,
      -- What the provider knows the charge by: orderId:charge:attempt.
      key text NOT NULL UNIQUE,
      order_id uuid NOT NULL,
      user_id uuid NOT NULL,
      amount integer NOT NULL CHECK (amount >= 0),
      currency text NOT NULL,
      provider text NOT NULL,
      status text NOT NULL DEFAULT 'processing' CHECK (status IN
        ('processing', 'captured', 'declined', 'failed', 'voided', 'partially_refunded', 'refunded')),
      provider_ref text,
      failure_code text,
      -- Given back, and about to be: the sums of its refunds that have succeeded and that are pending.
      refunded integer NOT NULL DEFAULT 0 CHECK (refunded >= 0),
      refunding integer NOT NULL DEFAULT 0 CHECK (refunding >= 0),
      -- How often the charge was sent, and when last. Only who raises the number may send.
      requests integer NOT NULL DEFAULT 1,
      sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      -- Its order was cancelled: it is not sent again, and what it captured goes back.
      cancelled boolean NOT NULL DEFAULT false,
      -- When the sweep looks at it next; null: it is as it will stay.
      check_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT payments_never_gives_back_more CHECK (refunded <= amount - refunding),
      CONSTRAINT payments_status_is_what_was_refunded CHECK (CASE status
        WHEN 'partially_refunded' THEN refunded > 0 AND refunded < amount
        WHEN 'refunded' THEN refunded = amount
        ELSE refunded = 0 END),
      CONSTRAINT payments_capture_has_a_reference CHECK (provider_ref IS NOT NULL
        OR (status NOT IN ('captured', 'partially_refunded', 'refunded') AND refunding = 0)),
      CONSTRAINT payments_unfinished_is_looked_after CHECK (status <> 'processing' OR check_at IS NOT NULL)
    );
    -- The promise: of all attempts of an order, at most one is under way or has captured.
    CREATE UNIQUE INDEX payments_one_capture ON payments (order_id)
      WHERE status IN ('processing', 'captured', 'partially_refunded', 'refunded');
    CREATE INDEX payments_order ON payments (order_id);
    CREATE INDEX payments_check ON payments (check_at) WHERE check_at IS NOT NULL;

    CREATE TABLE refunds (
      id uuid PRIMARY KEY,
      payment_id uuid NOT NULL REFERENCES payments,
      key text NOT NULL UNIQUE,
      amount integer NOT NULL CHECK (amount > 0),
      reason text NOT NULL,
      status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
      provider_ref text,
      -- The admin who asked for it; null: the shop itself, for a cancelled order.
      requested_by uuid,
      requests integer NOT NULL DEFAULT 1,
      check_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT refunds_success_has_a_reference CHECK ((status = 'succeeded') = (provider_ref IS NOT NULL)),
      CONSTRAINT refunds_pending_is_looked_after CHECK ((status = 'pending') = (check_at IS NOT NULL))
    );
    CREATE INDEX refunds_payment ON refunds (payment_id);
    CREATE INDEX refunds_check ON refunds (check_at) WHERE check_at IS NOT NULL;

    -- Tombstones: no attempt of these orders may begin any more.
    CREATE TABLE cancelled_orders (
      order_id uuid PRIMARY KEY,
      reason text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now()
    );

    CREATE TABLE webhook_events (
      provider text NOT NULL,
      event_id text NOT NULL,
      received_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (provider, event_id)
    );`,
  down: "DROP TABLE webhook_events, cancelled_orders, refunds, payments;",
};
