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

/** Every queue of this database that holds anything undone, by name. Reads pg-boss's table, and changes nothing. */
export async function queueFigures(db: Database): Promise<QueueFigures[]> {
  return await db.rows<QueueFigures>(
    `SELECT name AS queue,
       (count(*) FILTER (WHERE start_after <= now()))::integer AS pending,
       (count(*) FILTER (WHERE start_after > now()))::integer AS scheduled,
       coalesce(greatest(0, extract(epoch FROM now() - min(start_after) FILTER (WHERE start_after <= now()))), 0)::float8
         AS oldest_s
     FROM pgboss.job WHERE state < 'completed' GROUP BY name ORDER BY name`,
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
