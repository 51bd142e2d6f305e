import type { ResultOf } from "../../lib/contract.ts";
import type { Database } from "../../lib/stores/database.ts";
import type { paymentsContract } from "./payments.contract.ts";

type Audit = ResultOf<typeof paymentsContract.actions.audit>;

/** Of each kind. */
const MAX_VIOLATIONS = 100;
const CAPTURED = "status IN ('captured', 'partially_refunded', 'refunded')";

/** The sweep asks twice a minute: what it can't end for so long, as long as a saga tries, needs a person. */
const TOO_LONG = "interval '1 hour'";

/** What must never be found, each as the statement that finds it among the orders of `$1`. */
const CHECKS: readonly { message: string; sql: string }[] = [
  {
    message: "An order was captured more than once",
    sql: `
      SELECT order_id, count(*)::int AS captures FROM payments.payments
      WHERE order_id = ANY($1) AND ${CAPTURED} GROUP BY order_id HAVING count(*) > 1`,
  },
  {
    message: "More was given back than was captured",
    sql: `
      SELECT id AS payment_id, order_id, amount, refunded FROM payments.payments
      WHERE order_id = ANY($1) AND refunded > amount`,
  },
  {
    message: "A payment's sums are not those of its refunds",
    sql: `
      SELECT p.id AS payment_id, p.order_id, p.refunded, p.refunding, r.succeeded, r.pending
      FROM payments.payments p CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount) FILTER (WHERE status = 'succeeded'), 0)::float8 AS succeeded,
               coalesce(sum(amount) FILTER (WHERE status = 'pending'), 0)::float8 AS pending
        FROM payments.refunds WHERE payment_id = p.id) r
      WHERE p.order_id = ANY($1) AND (p.refunded <> r.succeeded OR p.refunding <> r.pending)`,
  },
  {
    message: "A captured payment is not in the provider's books",
    sql: `
      SELECT p.id AS payment_id, p.order_id, p.amount FROM payments.payments p
      WHERE p.order_id = ANY($1) AND p.provider = 'sandbox' AND ${CAPTURED} AND NOT EXISTS (
        SELECT 1 FROM payments.sandbox_charges c
        WHERE c.key = p.key AND c.ref = p.provider_ref AND c.amount = p.amount AND c.declined IS NULL)`,
  },
  {
    // A minute, and what is under way, is left to the sweep.
    message: "The provider keeps other money than we know of",
    sql: `
      SELECT c.key, c.order_id, c.amount AS captured_there, r.refunded AS refunded_there,
             p.id AS payment_id, p.status, p.refunded AS refunded_here
      FROM payments.sandbox_charges c
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount), 0)::float8 AS refunded
        FROM payments.sandbox_refunds WHERE charge_ref = c.ref) r
      LEFT JOIN payments.payments p ON p.key = c.key
      WHERE c.order_id = ANY($1) AND c.declined IS NULL AND c.created_at < now() - interval '1 minute'
        AND p.status IS DISTINCT FROM 'processing' AND coalesce(p.refunding, 0) = 0
        AND c.amount - r.refunded <> CASE WHEN ${CAPTURED} THEN p.amount - p.refunded ELSE 0 END`,
  },
  {
    message: "The provider gave something back that we don't know of",
    sql: `
      SELECT r.key, c.order_id, r.amount FROM payments.sandbox_refunds r
      JOIN payments.sandbox_charges c ON c.ref = r.charge_ref
      WHERE c.order_id = ANY($1)
        AND NOT EXISTS (
          SELECT 1 FROM payments.refunds x WHERE x.key = r.key AND x.amount = r.amount AND x.status <> 'failed')
        AND NOT EXISTS (
          SELECT 1 FROM payments.payments p
          WHERE r.key = p.key || ':late' AND p.key = c.key AND p.status IN ('failed', 'voided'))`,
  },
  {
    message: "A payment has had no outcome for over an hour",
    sql: `
      SELECT id AS payment_id, order_id, amount, requests, created_at AS since FROM payments.payments
      WHERE order_id = ANY($1) AND status = 'processing' AND created_at < now() - ${TOO_LONG}`,
  },
  {
    // One that failed begins anew in its row: it is as old as that.
    message: "A refund has had no outcome for over an hour",
    sql: `
      SELECT r.id AS refund_id, p.id AS payment_id, p.order_id, r.amount, r.requests, r.updated_at AS since
      FROM payments.refunds r JOIN payments.payments p ON p.id = r.payment_id
      WHERE p.order_id = ANY($1) AND r.status = 'pending' AND r.updated_at < now() - ${TOO_LONG}`,
  },
];

/**
 * What each of these orders captured and gave back, and every row of theirs that breaks I2, in our books or between
 * ours and the sandbox's. Amounts are integer minor units. Orders that captured something and whose ids lie between these
 * are told of too: where these are a page of all orders, no such order may exist.
 */
export async function audit(db: Database, orderIds: readonly string[]): Promise<Audit> {
  const inOrder = orderIds.toSorted();
  const orders = await db.rows<Audit["orders"][number]>(
    `SELECT o.id AS order_id,
            count(p.id) FILTER (WHERE ${CAPTURED})::int AS captures,
            coalesce(sum(p.amount) FILTER (WHERE ${CAPTURED}), 0)::float8 AS captured,
            coalesce(sum(p.refunded), 0)::float8 AS refunded,
            count(p.id) FILTER (WHERE p.status = 'processing')::int AS processing
     FROM (
       SELECT unnest($1::uuid[]) UNION ALL (
         SELECT order_id FROM payments.payments
         WHERE order_id BETWEEN $2 AND $3 AND ${CAPTURED}
           AND NOT EXISTS (SELECT 1 FROM unnest($1::uuid[]) AS asked (id) WHERE asked.id = order_id)
         ORDER BY order_id LIMIT ${MAX_VIOLATIONS})
     ) AS o (id) LEFT JOIN payments.payments p ON p.order_id = o.id
     GROUP BY o.id ORDER BY o.id`,
    [orderIds, inOrder.at(0) ?? null, inOrder.at(-1) ?? null],
  );
  const violations: Audit["violations"] = [];
  for (const { message, sql } of CHECKS) {
    const rows = await db.rows<Record<string, unknown>>(`${sql} LIMIT ${MAX_VIOLATIONS}`, [orderIds]);
    violations.push(...rows.map((row) => ({ invariant: "I2", message, row })));
  }
  return { orders, violations };
}
