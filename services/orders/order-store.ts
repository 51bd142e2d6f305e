import { NotFound } from "../../lib/errors.ts";
import type { EventData, OrderEventName } from "../../lib/events.ts";
import { idFrom } from "../../lib/ids.ts";
import type { Counting } from "../../lib/metrics.ts";
import { toDecimal } from "../../lib/money.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { JobsThis } from "../../mixins/jobs.ts";
import { type OrderStatus, predecessorsOf } from "./order-state.ts";
import { type HistoryRow, type ItemRow, orderView, summaryView } from "./order-view.ts";
import type { Order, OrderSummary } from "./orders.contract.ts";
import type { OrderAttributes } from "./orders.model.ts";

export type Actor = "customer" | "admin" | "system";

/** An order with what belongs to it, as the saga's steps and the events need it. */
export interface OrderRecord {
  order: OrderAttributes;
  items: ItemRow[];
  history: HistoryRow[];
}

interface OrderFilter {
  user_id?: string;
  status?: OrderStatus;
  from?: string;
  to?: string;
}

/** Fields of orders.orders that a change of status may set along with it. */
interface StatusFields {
  reason?: string | null;
  payment?: { id: string; provider: string };
  cancel_reason?: string | null;
}

/** ms that the clocks of the node that made an order's id and of the database may be apart. */
const CLOCKS_APART = 86_400_000;

/** The columns of an {@link OrderRecord}, of an order `o`; its history is in these rows. */
const recordOf = (history: string) => `
  to_jsonb(o) AS order,
  (SELECT coalesce(jsonb_agg(to_jsonb(i) - 'order_id' ORDER BY i.product_id), '[]')
     FROM orders.items i WHERE i.order_id = o.id) AS items,
  (SELECT coalesce(jsonb_agg(to_jsonb(h) - 'order_id' - 'id' ORDER BY h.id), '[]')
     FROM ${history} h WHERE h.order_id = o.id) AS history`;

/** Orders in Postgres. */
export class OrderStore {
  readonly #db: Database;
  readonly #publish: JobsThis["publish"];
  readonly #metrics: Counting;
  constructor(db: Database, publish: JobsThis["publish"], metrics: Counting) {
    this.#db = db;
    this.#publish = publish;
    this.#metrics = metrics;
  }

  /** @throws NotFound if there is none, or it isn't `userId`'s (when given) */
  async get(id: string, userId?: string): Promise<OrderRecord> {
    const sql = `SELECT ${recordOf("orders.history")} FROM orders.orders o WHERE o.id = $1`;
    const record = await this.#db.one<OrderRecord>(sql, [id]);
    if (!record || (userId !== undefined && record.order.user_id !== userId))
      throw new NotFound({ what: "order", id });
    return record;
  }

  async view(id: string): Promise<Order> {
    const { order, items, history } = await this.get(id);
    return orderView(order, items, history);
  }

  /** The order that was made of this filling of a cart, and whether its saga still runs. */
  async ofCart(cartId: string): Promise<{ id: string; busy: boolean } | undefined> {
    return await this.#db.one<{ id: string; busy: boolean }>(
      `SELECT o.id, EXISTS (SELECT 1 FROM orders.sagas s WHERE s.order_id = o.id AND s.state IN ('running', 'compensating')) AS busy
       FROM orders.orders o WHERE o.cart_id = $1 AND o.status <> 'cancelled'`,
      [cartId],
    );
  }

  /** Locks the order's row until the transaction ends. */
  async lock(tx: Tx, id: string): Promise<OrderAttributes | undefined> {
    return await this.#db.one<OrderAttributes>(
      "SELECT * FROM orders.orders WHERE id = $1 FOR UPDATE",
      [id],
      tx,
    );
  }

  /**
   * Moves an order to another status, with its history row and its durable event, in the caller's transaction. The
   * update names the statuses it may come from, so that two movers can't both succeed. (One that waits here for another
   * would miss that one's row in the history it returns: callers hold the order's lock, or its running saga.)
   * @returns the order as it is now; undefined if its status didn't allow the move
   */
  async move(
    tx: Tx,
    id: string,
    to: OrderStatus,
    actor: Actor,
    fields: StatusFields = {},
  ): Promise<OrderRecord | undefined> {
    const moved = await this.#db.one<OrderRecord & { previous: OrderStatus }>(
      `WITH before AS (SELECT id, status FROM orders.orders WHERE id = $1 AND status = ANY($2) FOR UPDATE),
       o AS (
         UPDATE orders.orders o SET status = $3, updated_at = now(),
           cancel_reason = coalesce($4, o.cancel_reason),
           payment_id = coalesce($5, o.payment_id), payment_provider = coalesce($6, o.payment_provider),
           reserved_until = NULL
         FROM before WHERE o.id = before.id RETURNING o.*
       ), written AS (
         INSERT INTO orders.history (order_id, from_status, to_status, reason, actor)
         SELECT id, status, $3, $7, $8 FROM before RETURNING *
       )
       SELECT before.status AS previous, ${recordOf("(TABLE orders.history UNION ALL TABLE written)")}
       FROM before JOIN o USING (id)`,
      [
        id,
        predecessorsOf(to),
        to,
        fields.cancel_reason ?? null,
        fields.payment?.id ?? null,
        fields.payment?.provider ?? null,
        fields.reason ?? null,
        actor,
      ],
      tx,
    );
    if (!moved) return undefined;
    const { previous, ...record } = moved;
    tx.afterCommit(() => countOrder(this.#metrics, record.order));
    if (to !== "pending")
      await this.#publish(tx, `order.${to}`, eventData(record, previous, fields.reason ?? null));
    return record;
  }

  /**
   * The order stands and waits for its payment until `until`, in the caller's transaction.
   * @returns undefined, having changed nothing, if it does already
   */
  async markPlaced(tx: Tx, id: string, until: Date): Promise<OrderRecord | undefined> {
    const record = await this.#db.one<OrderRecord>(
      `WITH o AS (
         UPDATE orders.orders SET reserved_until = $2, updated_at = now()
         WHERE id = $1 AND reserved_until IS NULL RETURNING *
       )
       SELECT ${recordOf("orders.history")} FROM o`,
      [id, until],
      tx,
    );
    if (!record) return undefined;
    await this.#publish(tx, "order.placed", eventData(record, null, null));
    return record;
  }

  /** Notes what has been refunded in all. Only ever grows, so a late or repeated event changes nothing. */
  async noteRefunded(tx: Tx, id: string, refundedTotal: number): Promise<OrderAttributes | undefined> {
    return await this.#db.one<OrderAttributes>(
      `UPDATE orders.orders SET refunded = greatest(refunded, least($2, total)), updated_at = now()
       WHERE id = $1 RETURNING *`,
      [id, refundedTotal],
      tx,
    );
  }

  /** Orders newest first, with their items, and how many there are in all. */
  async list(
    filter: OrderFilter,
    limit: number,
    offset: number,
  ): Promise<{ orders: OrderSummary[]; total: number }> {
    const where = `($1::uuid IS NULL OR user_id = $1) AND ($2::text IS NULL OR status = $2)
      AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
      AND ($5::uuid IS NULL OR id >= $5) AND ($6::uuid IS NULL OR id < $6)`;
    const { user_id = null, status = null, from, to } = filter;
    // Ids are UUIDv7 and the primary key: it finds the orders of a time among all.
    const ids = [idAround(from, -CLOCKS_APART), idAround(to, CLOCKS_APART)];
    const values = [user_id, status, instant(from), instant(to), ...ids];
    const [rows, [count]] = await Promise.all([
      this.#db.rows<{ order: OrderAttributes; items: ItemRow[] }>(
        `SELECT to_jsonb(o) AS order,
           (SELECT coalesce(jsonb_agg(to_jsonb(i) - 'order_id' ORDER BY i.product_id), '[]')
              FROM orders.items i WHERE i.order_id = o.id) AS items
         FROM (SELECT id FROM orders.orders WHERE ${where} ORDER BY id DESC LIMIT $7 OFFSET $8) page
           JOIN orders.orders o USING (id) ORDER BY o.id DESC`,
        [...values, limit, offset],
      ),
      this.#db.rows<{ total: number }>(
        `SELECT count(*)::integer AS total FROM orders.orders WHERE ${where}`,
        values,
      ),
    ]);
    return { orders: rows.map((row) => summaryView(row.order, row.items)), total: count?.total ?? 0 };
  }
}

/** Counts an order that has come into its status, and what a confirmed one brings in. */
export function countOrder(metrics: Counting, { status, total, currency, synthetic }: OrderAttributes): void {
  metrics.count("molecart_orders_total", { status });
  if (status === "confirmed" && !synthetic)
    metrics.count("molecart_revenue_total", { currency }, toDecimal(total));
}

/** Postgres knows fewer time zones than ISO 8601 allows: it is given all times in UTC. */
function instant(text: string | undefined): string | null {
  return text === undefined ? null : new Date(text).toISOString();
}

/** The first id that an order made then, and so many ms later, can have. */
function idAround(text: string | undefined, ms: number): string | null {
  return text === undefined ? null : idFrom(Date.parse(text) + ms);
}

/** What is told of an order. @param previous its status before */
export function eventData(
  { order, items }: OrderRecord,
  previous: OrderStatus | null,
  reason: string | null,
): EventData<OrderEventName> {
  return {
    order_id: order.id,
    number: order.number,
    user_id: order.user_id,
    status: order.status,
    previous_status: previous,
    total: order.total,
    currency: order.currency,
    items: items.map(({ product_id, name, quantity, unit_price }) => ({
      product_id,
      name,
      quantity,
      unit_price,
    })),
    cart_id: order.cart_id,
    reason,
    synthetic: order.synthetic,
  };
}
