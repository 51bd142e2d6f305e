import { visibleData } from "../events.ts";
import type { Database, Tx } from "./database.ts";

/** Durable events in a database's queues that reached a subscriber late, or not at all. */

const PREFIX = "events-";
const DEAD = "-dead";

/** Where the events for a subscriber wait. */
export const eventQueue = (subscriber: string): string => `${PREFIX}${subscriber}`;
/** Where they lie after the last retry. */
export const deadEventQueue = (subscriber: string): string => `${PREFIX}${subscriber}${DEAD}`;

/** s after which an undelivered event counts as late: workers look every half second, and retries back off. */
const LATE_AFTER = 60;

export interface UndeliveredEvent {
  /** The job's: of each subscriber its own. */
  id: string;
  /** `dead`: given up after the last retry. `late`: still tried. */
  state: "dead" | "late";
  subscriber: string;
  event: string;
  event_id: string;
  occurred_at: string;
  /** When it was given up; of a late one, when it was published. */
  since: string;
  /** When it was, or will be, tried next. */
  due_at: string;
  /** How often its delivery was tried. */
  attempts: number;
  /** The code or name of the last failure: never its text. */
  last_error: string | null;
  /** Without personal data. */
  data: Record<string, unknown>;
}

export interface UndeliveredFilter {
  state?: "dead" | "late";
  subscriber?: string;
  ids?: readonly string[];
}

interface Row {
  id: string;
  queue: string;
  envelope: { event: string; event_id: string; occurred_at: string; data: object };
  since: Date;
  due_at: Date;
  attempts: number;
  last_error: string | null;
}

// Of a dead letter, what became of the job that it is a copy of.
const UNDELIVERED = `
  FROM pgboss.job AS job
  WHERE (name = ANY($1) AND state < 'active'
      OR name = ANY($2) AND state < 'completed' AND created_on < now() - make_interval(secs => ${LATE_AFTER}))
    AND ($3::uuid[] IS NULL OR id = ANY($3))`;
const reasonIn = (output: string) =>
  `coalesce(${output}->>'reason', ${output}->>'name', CASE WHEN ${output} IS NOT NULL THEN 'TIMEOUT' END)`;

/** Undelivered events, the dead ones first and the oldest first, and how many there are of each kind. */
export async function undeliveredEvents(
  db: Database,
  subscribers: readonly string[],
  { state, subscriber, ids }: UndeliveredFilter,
  limit: number,
): Promise<{ checked: number; dead: number; late: number; events: UndeliveredEvent[] }> {
  const wanted = subscribers.filter((name) => subscriber === undefined || name === subscriber);
  const dead = state === "late" ? [] : wanted.map(deadEventQueue);
  const live = state === "dead" ? [] : wanted.map(eventQueue);
  const values = [dead, live, ids ?? null];
  const all = [...subscribers.map(deadEventQueue), ...subscribers.map(eventQueue)];
  const [rows, counts, checked] = await Promise.all([
    db.rows<Row>(
      `SELECT id, name AS queue, data->'envelope' AS envelope, created_on AS since, start_after AS due_at,
         CASE WHEN name = ANY($1) THEN coalesce(source_retry_count, retry_count) + 1
           WHEN state = 'created' THEN 0 ELSE retry_count + 1 END AS attempts,
         CASE WHEN name = ANY($1) THEN ${reasonIn("source_output")} ELSE ${reasonIn("output")} END AS last_error
       ${UNDELIVERED} ORDER BY name = ANY($1) DESC, created_on, id LIMIT $4`,
      [...values, limit],
    ),
    db.one<{ dead: number; late: number }>(
      `SELECT (count(*) FILTER (WHERE name = ANY($1)))::integer AS dead,
         (count(*) FILTER (WHERE name = ANY($2)))::integer AS late ${UNDELIVERED}`,
      values,
    ),
    db.one<{ jobs: number }>("SELECT count(*)::integer AS jobs FROM pgboss.job WHERE name = ANY($1)", [all]),
  ]);
  return {
    checked: checked?.jobs ?? 0,
    dead: counts?.dead ?? 0,
    late: counts?.late ?? 0,
    events: rows.map(viewOf),
  };
}

function viewOf({ id, queue, envelope, since, due_at, attempts, last_error }: Row): UndeliveredEvent {
  const isDead = queue.endsWith(DEAD);
  const { event, event_id, occurred_at, data } = envelope;
  return {
    id,
    state: isDead ? "dead" : "late",
    subscriber: queue.slice(PREFIX.length, isDead ? -DEAD.length : undefined),
    event,
    event_id,
    occurred_at,
    since: since.toISOString(),
    due_at: due_at.toISOString(),
    attempts,
    last_error,
    data: visibleData(event, data),
  };
}

/** Locks dead letters until the transaction ends, the oldest first; those that another redrive holds are left to it. */
export async function lockDeadEvents(
  db: Database,
  tx: Tx,
  queue: string,
  ids: readonly string[] | undefined,
  limit: number,
): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(
    `SELECT id FROM pgboss.job WHERE name = $1 AND state < 'active' AND source_name IS NOT NULL AND ($2::uuid[] IS NULL OR id = ANY($2))
     ORDER BY created_on LIMIT $3 FOR UPDATE SKIP LOCKED`,
    [queue, ids ?? null, limit],
    tx,
  );
  return rows.map(({ id }) => id);
}
