import type { Sample } from "../../lib/metrics.ts";
import { SAGA_STATES } from "../../lib/metrics-catalogue.ts";
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

/** The same as metrics: every state is told, also where there is none. */
export async function sagaSamples(db: Database): Promise<Sample[]> {
  const figures = await sagaFigures(db);
  const samples = SAGA_STATES.flatMap((state): Sample[] => {
    const { count, oldest_s } = figures.find((one) => one.state === state) ?? { count: 0, oldest_s: 0 };
    return [
      { name: "molecart_sagas", labels: { state }, value: count },
      { name: "molecart_saga_oldest_seconds", labels: { state }, value: oldest_s },
    ];
  });
  const parked = figures.find(({ state }) => state === "parked")?.count ?? 0;
  return [...samples, { name: "molecart_sagas_parked", labels: {}, value: parked }];
}
