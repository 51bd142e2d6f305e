import type { Database } from "../../lib/stores/database.ts";
import type { SagaRow } from "./saga-store.ts";

/** How the sagas of one state stand. */
export interface SagaFigures {
  state: SagaRow["state"];
  count: number;
  /** s since the oldest of them began. */
  oldest_s: number;
}

/** The sagas that are not at their end, by state: what waits for a payment, runs, is undone, or is parked. */
export async function sagaFigures(db: Database): Promise<SagaFigures[]> {
  return await db.rows<SagaFigures>(
    `SELECT state, count(*)::integer AS count,
       greatest(0, extract(epoch FROM now() - min(created_at)))::float8 AS oldest_s
     FROM orders.sagas WHERE state NOT IN ('done', 'undone') GROUP BY state ORDER BY state`,
  );
}
