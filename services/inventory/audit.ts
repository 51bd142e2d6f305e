import type { Database } from "../../lib/stores/database.ts";
import type { OrderStock, Violation } from "./inventory.contract.ts";

/** Seconds that a reservation may outlive its `expires_at`: the time in which orders, which releases it, notices. */
const GRACE = 60;
/** Of each kind. */
const MAX_VIOLATIONS = 100;

/** Each selects the rows that break an invariant; none ever should. */
const CHECKS = [
  {
    invariant: "I1",
    message: "on hand + sold is not what was received",
    sql: "SELECT product_id, on_hand, sold, received FROM inventory.levels WHERE on_hand + sold <> received",
  },
  {
    invariant: "I1",
    message: "more is reserved than is on hand, or less than nothing",
    sql: "SELECT product_id, on_hand, reserved FROM inventory.levels WHERE reserved < 0 OR reserved > on_hand",
  },
  {
    invariant: "I1",
    message: "reserved is not the sum of the live reservations",
    sql: `
      SELECT product_id, coalesce(level.reserved, 0) AS reserved, coalesce(live.quantity, 0) AS live
      FROM inventory.levels AS level
        FULL JOIN (${sumOf("reserved")}) AS live USING (product_id)
      WHERE coalesce(level.reserved, 0) <> coalesce(live.quantity, 0)`,
  },
  {
    invariant: "I1",
    message: "sold is not the sum of the committed reservations",
    sql: `
      SELECT product_id, coalesce(level.sold, 0) AS sold, coalesce(committed.quantity, 0) AS committed
      FROM inventory.levels AS level
        FULL JOIN (${sumOf("committed")}) AS committed USING (product_id)
      WHERE coalesce(level.sold, 0) <> coalesce(committed.quantity, 0)`,
  },
  {
    invariant: "I4",
    message: `a reservation has outlived its time by more than ${GRACE} s`,
    sql: `
      SELECT order_id, expires_at FROM inventory.reservations
      WHERE state = 'reserved' AND expires_at < now() - make_interval(secs => ${GRACE})`,
  },
] as const;

function sumOf(state: "reserved" | "committed"): string {
  return `
    SELECT product_id, sum(quantity) AS quantity
    FROM inventory.reservations JOIN inventory.reservation_items USING (order_id)
    WHERE state = '${state}'
    GROUP BY product_id`;
}

/**
 * Looks for rows that break I1 (stock) or I4 (reservations), all in one snapshot, so that orders under way don't show.
 * @returns how many levels there are, and the first 100 violations of each kind
 */
export async function audit(db: Database): Promise<{ checked: number; violations: Violation[] }> {
  return await db.transaction(async (tx) => {
    await db.rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", [], tx);
    const count = await db.one<{ levels: number }>(
      "SELECT count(*)::int AS levels FROM inventory.levels",
      [],
      tx,
    );
    const violations: Violation[] = [];
    for (const { invariant, message, sql } of CHECKS) {
      const rows = await db.rows<Pick<Violation, "row">>(
        `SELECT to_jsonb(broken) AS row FROM (${sql} LIMIT $1) AS broken`,
        [MAX_VIOLATIONS],
        tx,
      );
      violations.push(...rows.map(({ row }) => ({ invariant, message, row })));
    }
    return { checked: count?.levels ?? 0, violations };
  });
}

/**
 * What each of these orders has of the stock, by its reservation, whatever the state of that. Orders that hold or bought
 * units and whose ids lie between these are told of too: where these are a page of all orders, no such order may exist.
 */
export async function auditOrders(db: Database, orderIds: readonly string[]): Promise<OrderStock[]> {
  const inOrder = orderIds.toSorted();
  return await db.rows<OrderStock>(
    `SELECT order_id, state,
       coalesce((SELECT string_agg(product_id || '×' || quantity, ', ' ORDER BY product_id)
         FROM inventory.reservation_items i WHERE i.order_id = r.order_id), '') AS units
     FROM (
       SELECT order_id, state FROM inventory.reservations WHERE order_id = ANY($1)
       UNION ALL (
         SELECT order_id, state FROM inventory.reservations b
         WHERE order_id BETWEEN $2 AND $3 AND state IN ('reserved', 'committed')
           AND NOT EXISTS (SELECT 1 FROM unnest($1::uuid[]) AS asked (id) WHERE asked.id = b.order_id)
         ORDER BY order_id LIMIT ${MAX_VIOLATIONS})
     ) AS r`,
    [orderIds, inOrder.at(0) ?? null, inOrder.at(-1) ?? null],
  );
}
