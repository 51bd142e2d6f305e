import type { Sample } from "../metrics.ts";
import type { Database } from "./database.ts";

/** How one queue of a database stands. */
export interface QueueFigures {
  queue: string;
  /** Jobs that are due, or being handled, now. */
  pending: number;
  /** Jobs that wait for a later time: a retry's pause, a reservation's end. */
  scheduled: number;
  /** s since the oldest pending job was due; 0 if there is none. */
  oldest_s: number;
}

/** A dead-letter queue holds what was given up after its last retry. */
export const isDeadLetterQueue = (queue: string): boolean => queue.endsWith("-dead");

/** Every queue of this database that holds anything undone, by name. Reads pg-boss's tables, and changes nothing. */
export async function queueFigures(db: Database): Promise<QueueFigures[]> {
  // What waits is counted on the index that workers take from; of what is being handled, of which there is none, pg-boss
  // keeps a count. Either way what has failed and is kept for a while is not looked at.
  return await db.rows<QueueFigures>(
    `SELECT q.name AS queue, coalesce(waiting.due, 0) + q.active_count AS pending,
       coalesce(waiting.scheduled, 0) AS scheduled, coalesce(waiting.oldest_s, 0) AS oldest_s
     FROM pgboss.queue q LEFT JOIN (
       SELECT name,
         (count(*) FILTER (WHERE start_after <= now()))::integer AS due,
         (count(*) FILTER (WHERE start_after > now()))::integer AS scheduled,
         greatest(0, extract(epoch FROM now() - min(start_after) FILTER (WHERE start_after <= now())))::float8 AS oldest_s
       FROM pgboss.job WHERE state < 'active' AND NOT blocked GROUP BY name
     ) waiting USING (name)
     WHERE waiting.name IS NOT NULL OR q.active_count > 0 ORDER BY q.name`,
  );
}

/** The same as metrics: every queue is told, also an empty one. */
export async function queueSamples(db: Database, database: string): Promise<Sample[]> {
  const [queues, figures] = await Promise.all([
    db.rows<{ name: string }>("SELECT name FROM pgboss.queue ORDER BY name"),
    queueFigures(db),
  ]);
  const byName = new Map(figures.map((one) => [one.queue, one]));
  return queues.flatMap(({ name: queue }): Sample[] => {
    const { pending, scheduled, oldest_s } = byName.get(queue) ?? { pending: 0, scheduled: 0, oldest_s: 0 };
    const labels = { database, queue };
    if (isDeadLetterQueue(queue))
      return [{ name: "molecart_dead_letters", labels, value: pending + scheduled }];
    return [
      { name: "molecart_queue_pending", labels, value: pending },
      { name: "molecart_queue_oldest_seconds", labels, value: oldest_s },
    ];
  });
}

const identities = new WeakMap<Database, string>();

/**
 * Tells databases apart, however their addresses are spelled: services that share one have the same queues, which must
 * not be counted twice.
 */
export async function databaseIdentity(db: Database): Promise<string> {
  const known = identities.get(db);
  if (known !== undefined) return known;
  const row = await db.one<{ id: string }>(
    `SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid AS id
     FROM pg_database WHERE datname = current_database()`,
  );
  if (!row) throw new Error("The database doesn't know its own name");
  identities.set(db, row.id);
  return row.id;
}
