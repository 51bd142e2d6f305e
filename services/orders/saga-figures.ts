import type { Sample } from "../../lib/metrics.ts";
import { SAGA_STATES } from "../../lib/metrics-catalogue.ts";
import type { Database } from "../../lib/stores/database.ts";
import type { SagaRow } from "./saga-records.ts";

/**
 * When a saga was set going last, in SQL: its job is made then, and the job's id (a UUIDv7) tells when. One that had waited
 * for its payment, and has just been paid, is not stuck because it is old.
 * @param saga its alias
 */
export const setGoingAt = (saga: string) =>
  `to_timestamp(('x' || left(replace(${saga}.job_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)`;

/** s that a saga may be at work; what waits for a payment, or is parked, is not. */
const STUCK_AFTER = 120;

/** How the sagas of one state stand. */
export interface SagaFigures {
  state: SagaRow["state"];
  count: number;
  /** How many of them have been at work for longer than {@link STUCK_AFTER}. */
  stuck: number;
  /** s since the oldest of them began. */
  oldest_s: number;
}

/** The sagas that are not at their end, by state: what waits for a payment, runs, is undone, or is parked. */
export async function sagaFigures(db: Database): Promise<SagaFigures[]> {
  return await db.rows<SagaFigures>(
    `SELECT state, count(*)::integer AS count,
       (count(*) FILTER (WHERE state IN ('running', 'compensating')
         AND ${setGoingAt("saga")} < now() - make_interval(secs => ${STUCK_AFTER})))::integer AS stuck,
       greatest(0, extract(epoch FROM now() - min(created_at)))::float8 AS oldest_s
     FROM orders.sagas AS saga WHERE state NOT IN ('done', 'undone') GROUP BY state ORDER BY state`,
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
