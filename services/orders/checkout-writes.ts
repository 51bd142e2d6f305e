import { IdempotencyInProgress } from "../../lib/errors.ts";
import type { Tx } from "../../lib/stores/database.ts";
import { insertJobs, jobRows } from "../../lib/stores/jobs.ts";
import { eventJobs } from "../../mixins/jobs.ts";
import { type Answer, KEPT_HOURS } from "./checkout-answers.ts";
import { countOrder, eventData, type OrderRecord } from "./order-store.ts";
import { type HistoryRow, orderView } from "./order-view.ts";
import type { ShippingAddress } from "./orders.contract.ts";
import type { PricedItem, Totals } from "./pricing.ts";
import type { OrdersParts, SagaContext } from "./saga-context.ts";
import type { NewSaga } from "./saga-records.ts";

/**
 * What every checkout writes in orders' own database: its beginning and its pivot. Each is one statement, and so one
 * transaction in one round trip; sent one by one, with BEGIN and COMMIT, the same writes cost three times as much.
 *
 * What a part of a statement writes the others don't see: they go by what it returns, and run after what they go by.
 */

export interface NewOrder {
  id: string;
  user_id: string;
  items: readonly PricedItem[];
  totals: Totals;
  currency: string;
  shipping_address: ShippingAddress;
  cart_id: string | null;
  synthetic: boolean;
}

/** The idempotency key of the request, and the hash of what it asks for. */
export interface KeyClaim {
  key: string;
  hash: string;
}

const PLACE = `
  WITH claimed AS (
    INSERT INTO orders.checkout_keys AS k (user_id, key, request_hash, order_id)
    SELECT $2::uuid, $3::text, $4::text, $1::uuid WHERE $3::text IS NOT NULL
    ON CONFLICT (user_id, key) DO UPDATE
      SET request_hash = excluded.request_hash, order_id = excluded.order_id, answer = NULL, created_at = now()
      WHERE k.created_at <= now() - make_interval(hours => ${KEPT_HOURS})
    RETURNING key
  ), placed AS (
    INSERT INTO orders.orders (id, number, user_id, status, currency, subtotal, shipping, tax, total, shipping_address,
      cart_id, synthetic)
    SELECT $1::uuid, 'MC-' || lpad(nextval('orders.order_number')::text, 6, '0'), $2::uuid, 'pending', $5::text,
      $6::integer, $7::integer, $8::integer, $9::integer, $10::jsonb, $11::text, $12::boolean
    WHERE $3::text IS NULL OR EXISTS (TABLE claimed)
    RETURNING id, number, created_at
  ), items AS (
    INSERT INTO orders.items (order_id, product_id, sku, name, unit_price, quantity)
    SELECT placed.id, item.* FROM placed, jsonb_to_recordset($13::jsonb)
      AS item (product_id integer, sku text, name text, unit_price integer, quantity integer)
  ), history AS (
    INSERT INTO orders.history (order_id, at, to_status, actor) SELECT id, created_at, 'pending', 'customer' FROM placed
  ), saga AS (
    INSERT INTO orders.sagas (id, order_id, kind, state, data, fence, owner, lease_until, job_id)
    SELECT $14::uuid, id, $15::text, $16::text, $17::jsonb, $18::bigint, $19::text, now() + make_interval(secs => $20),
      $21::uuid
    FROM placed
  ), job AS (${insertJobs("$22", "placed")})
  SELECT number, created_at FROM placed`;

/**
 * Writes an order with its items, its first history row, its idempotency key, its saga and the job behind that, in the
 * caller's transaction if there is one.
 * @throws IdempotencyInProgress if the key is taken; a unique violation of `orders_live_cart` if the cart was ordered
 */
export async function placeOrder(
  { db, metrics }: OrdersParts,
  order: NewOrder,
  { saga, owner, lease, job }: NewSaga,
  claim: KeyClaim | undefined,
  tx?: Tx,
): Promise<OrderRecord> {
  const { id, user_id, items, totals, currency, shipping_address, cart_id, synthetic } = order;
  const { subtotal, shipping, tax, total } = totals;
  const values = [
    id,
    user_id,
    claim?.key ?? null,
    claim?.hash ?? null,
    currency,
    subtotal,
    shipping,
    tax,
    total,
    JSON.stringify(shipping_address),
    cart_id,
    synthetic,
    JSON.stringify(items),
    saga.id,
    saga.kind,
    saga.state,
    JSON.stringify(saga.data),
    saga.fence,
    owner,
    lease,
    saga.job_id,
    await jobRows([job]),
  ];
  const placed = await db.one<{ number: string; created_at: Date }>(PLACE, values, tx);
  // Waited for whoever had it: the order that it belongs to is there.
  if (!placed) throw new IdempotencyInProgress({});
  const { number, created_at } = placed;
  const record: OrderRecord = {
    order: {
      id,
      number,
      user_id,
      status: "pending",
      currency,
      ...totals,
      refunded: 0,
      shipping_address,
      cart_id,
      synthetic,
      payment_id: null,
      payment_provider: null,
      reserved_until: null,
      cancel_reason: null,
      created_at,
      updated_at: created_at,
    },
    items: [...items],
    history: [{ at: created_at, from_status: null, to_status: "pending", reason: null, actor: "customer" }],
  };
  const count = () => countOrder(metrics, record.order);
  if (tx) tx.afterCommit(count);
  else count();
  return record;
}

// The order's row is locked before its saga's, as everywhere.
const CONFIRM = `
  WITH pending AS (
    SELECT id FROM orders.orders WHERE id = $1 AND status = 'pending' FOR NO KEY UPDATE
  ), held AS (
    UPDATE orders.sagas AS saga SET step = $4, updated_at = now()
    FROM pending WHERE saga.id = $2 AND saga.fence = $3 AND saga.order_id = pending.id
    RETURNING saga.order_id
  ), confirmed AS (
    UPDATE orders.orders AS o SET status = 'confirmed', payment_id = $5, payment_provider = $6, reserved_until = NULL,
      updated_at = $7
    FROM held WHERE o.id = held.order_id
    RETURNING o.id
  ), history AS (
    INSERT INTO orders.history (order_id, at, from_status, to_status, actor, reason)
    SELECT id, $7, 'pending', 'confirmed', $8, $11 FROM confirmed
  ), answer AS (
    UPDATE orders.checkout_keys AS k SET answer = $9
    FROM confirmed WHERE k.order_id = confirmed.id AND k.answer IS NULL
  ), jobs AS (${insertJobs("$10", "confirmed")})
  SELECT id FROM confirmed`;

/**
 * The pivot: makes the order the customer's, with its history row, its event, the answer under its idempotency key, and
 * the step at which a take-over goes on from now on.
 * @returns the order as it is now
 * @throws LeaseLost
 */
export async function confirmOrder(context: SagaContext, nextStep: string): Promise<OrderRecord> {
  const { db, orders, sagas, metrics, saga, record, payment } = context;
  const { actor, reason = null } = saga.data;
  const { id } = record.order;
  const at = notBefore(record.order.created_at);
  const entry: HistoryRow = { at, from_status: "pending", to_status: "confirmed", reason, actor };
  const confirmed: OrderRecord = {
    order: {
      ...record.order,
      status: "confirmed",
      payment_id: payment?.id ?? null,
      payment_provider: payment?.provider ?? null,
      reserved_until: null,
      updated_at: at,
    },
    items: record.items,
    history: [...record.history, entry],
  };
  const answer: Answer = { order: orderView(confirmed.order, confirmed.items, confirmed.history) };
  const event = eventJobs("order.confirmed", eventData(confirmed, "pending", reason));
  const written = await db.one(CONFIRM, [
    id,
    saga.id,
    saga.fence,
    nextStep,
    confirmed.order.payment_id,
    confirmed.order.payment_provider,
    at,
    actor,
    JSON.stringify(answer),
    await jobRows(event),
    reason,
  ]);
  if (!written) {
    await sagas.assertHeld(saga);
    // Only this saga moves a pending order, and it still holds the lease: the answer to an earlier COMMIT was lost.
    const now = await orders.get(id);
    if (now.order.status === "pending") throw new Error(`Order ${id} could not be confirmed`);
    return now;
  }
  countOrder(metrics, confirmed.order);
  return confirmed;
}

/** Now; or what Postgres said before, if this node's clock is behind it. */
function notBefore(earlier: Date | string): Date {
  return new Date(Math.max(Date.now(), new Date(earlier).getTime()));
}
