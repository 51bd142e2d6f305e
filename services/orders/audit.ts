import type { Database } from "../../lib/stores/database.ts";
import { deadEventQueue, eventQueue } from "../../lib/stores/event-jobs.ts";
import type { OrderStatus } from "./order-state.ts";
import { setGoingAt } from "./saga-figures.ts";

export interface AuditRow {
  order_id: string;
  number: string;
  status: OrderStatus;
  /** Minor units. */
  total: number;
  refunded: number;
  paid: boolean;
  /** Confirmed by an admin without a payment through us. */
  offline: boolean;
  /** As `OrderStock` of inventory has them. */
  units: string;
  saga: string | null;
  /** Since the saga was set going last. */
  saga_age_ms: number | null;
  overdue_ms: number | null;
  /** An event about it is still on its way to notifications, or was given up and lies among the dead letters. */
  telling: boolean;
}

/**
 * A page of what I2 to I5 need to know of each order, by id. `offline` is no EXISTS: Postgres would read the whole
 * history for each page, as if every order of the shop were asked for.
 */
export async function auditPage(
  db: Database,
  after: string | undefined,
  limit: number,
): Promise<{ orders: AuditRow[]; next: string | null }> {
  const orders = await db.rows<AuditRow>(
    `SELECT o.id AS order_id, o.number, o.status, o.total, o.refunded, o.payment_id IS NOT NULL AS paid,
       o.payment_id IS NULL AND coalesce((SELECT true FROM orders.history
         WHERE order_id = o.id AND to_status = 'confirmed' AND actor = 'admin' LIMIT 1), false) AS offline,
       coalesce((SELECT string_agg(product_id || '×' || quantity, ', ' ORDER BY product_id)
         FROM orders.items WHERE order_id = o.id), '') AS units,
       s.state AS saga,
       (extract(epoch FROM now() - ${setGoingAt("s")}) * 1000)::float8 AS saga_age_ms,
       CASE WHEN s.state = 'waiting' AND o.reserved_until < now()
         THEN (extract(epoch FROM now() - o.reserved_until) * 1000)::float8 END AS overdue_ms,
       coalesce(o.id::text IN (
         SELECT data->'envelope'->'data'->>'order_id' FROM pgboss.job WHERE name = ANY($3) AND state < 'completed'
       ), false) AS telling
     FROM orders.orders o
     LEFT JOIN orders.sagas s ON s.order_id = o.id AND s.state NOT IN ('done', 'undone')
     WHERE ($1::uuid IS NULL OR o.id > $1) ORDER BY o.id LIMIT $2`,
    [after ?? null, limit, [eventQueue("notifications"), deadEventQueue("notifications")]],
  );
  const round = (ms: number | null) => (ms === null ? null : Math.max(0, Math.round(ms)));
  return {
    orders: orders.map((row) => ({
      ...row,
      saga_age_ms: round(row.saga_age_ms),
      overdue_ms: round(row.overdue_ms),
    })),
    next: orders.length === limit ? (orders.at(-1)?.order_id ?? null) : null,
  };
}
