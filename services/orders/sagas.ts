import { NotFound } from "../../lib/errors.ts";
import { type PageParams, pageOf } from "../../lib/schema.ts";
import type { Database } from "../../lib/stores/database.ts";
import type { SagaView } from "./orders.contract.ts";

interface SagaListRow extends Omit<SagaView, "created_at" | "updated_at"> {
  created_at: Date;
  updated_at: Date;
}

const SELECT = `SELECT s.order_id, o.number, s.kind, s.state, s.step, s.attempts, s.last_error, s.owner, s.created_at, s.updated_at
  FROM orders.sagas s JOIN orders.orders o ON o.id = s.order_id`;

function view(row: SagaListRow): SagaView {
  return { ...row, created_at: row.created_at.toISOString(), updated_at: row.updated_at.toISOString() };
}

/** Sagas by state; without one, those that are not at their end. Oldest first. */
export async function listSagas(db: Database, params: PageParams & { state?: SagaView["state"] }) {
  const { limit, offset, pagination } = pageOf(params);
  const where = "CASE WHEN $1::text IS NULL THEN s.state NOT IN ('done', 'undone') ELSE s.state = $1 END";
  const values = [params.state ?? null];
  const rows = await db.rows<SagaListRow>(
    `${SELECT} WHERE ${where} ORDER BY s.created_at, s.id LIMIT $2 OFFSET $3`,
    [...values, limit, offset],
  );
  const [count] = await db.rows<{ total: number }>(
    `SELECT count(*)::integer AS total FROM orders.sagas s WHERE ${where}`,
    values,
  );
  return { sagas: rows.map(view), pagination: pagination(count?.total ?? 0) };
}

/** The newest saga of an order. @throws NotFound */
export async function sagaOf(db: Database, orderId: string): Promise<SagaView> {
  const [row] = await db.rows<SagaListRow>(
    `${SELECT} WHERE s.order_id = $1 ORDER BY s.created_at DESC LIMIT 1`,
    [orderId],
  );
  if (!row) throw new NotFound({ what: "saga of order", id: orderId });
  return view(row);
}
