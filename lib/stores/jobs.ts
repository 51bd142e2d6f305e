import { type ConnectionOptions, type Job, type JobResult, PgBoss, type QueueOptions } from "pg-boss";
import { failureCode } from "../errors.ts";
import { newId } from "../ids.ts";
import { traced } from "../tracing/tracing.ts";
import type { Tx } from "./database.ts";
import { inOrigin, jobAttributes, type Origin, withOrigin } from "./job-origin.ts";
import { connectionOf, runStatement } from "./statements.ts";

export interface QueueDefinition extends QueueOptions {
  name: string;
  /** Where a job goes after its last retry; made too. */
  deadLetter?: string;
}

/** A job to put in. */
export interface NewJob {
  queue: string;
  data: object;
  /** Default: a new one. */
  id?: string;
  /** Default: at once. */
  startAfter?: Date;
}

export interface WorkerOptions {
  /** How many jobs this node takes at a time, to handle some of them side by side; the next are taken when all have ended. */
  batch?: number;
  /** How many such takers there are: for jobs that can be slow. */
  takers?: number;
  /** s between looks, at most; default: as often as the node looks for jobs at all. */
  pollSeconds?: number;
}

interface JobsOptions {
  url: string;
  /** s between looks for jobs that became due. 0.5 at least. */
  pollSeconds: number;
  /** ms that one of its own statements may take before its connection is given up. */
  timeout: number;
  onError: (error: Error) => void;
}

/**
 * Durable jobs on a service's own database (pg-boss): they are put in by the caller's transaction, and leased,
 * retried, and dead-lettered by Postgres. A job is a promise that something gets done, not the fast way to do it.
 */
export class Jobs {
  readonly #boss: PgBoss;
  #started: Promise<unknown> | undefined;
  readonly #queues = new Map<string, Promise<void>>();
  readonly #workers = new Set<string>();

  readonly #pollSeconds: number;

  constructor({ url, pollSeconds, timeout, onError }: JobsOptions) {
    this.#pollSeconds = pollSeconds;
    // Handed on to its pool, which knows more than pg-boss's types do.
    const bounded = { connectionString: url, query_timeout: timeout };
    this.#boss = new PgBoss({
      ...bounded,
      schema: "pgboss",
      max: 3,
      application_name: "molecart-jobs",
      // On pg-boss's own connections jobs are only taken and settled: what is lost there is delivered again. Jobs are
      // put in on the connection of the service's transaction, which waits for the disk as ever.
      // Index scans alone step over what they once found dead, and in a queue that is nearly everything: with bitmap scans
      // each look for jobs reads all that went through since the last vacuum.
      options: "-c synchronous_commit=off -c enable_bitmapscan=off",
      schedule: false,
      // How soon the jobs of a node that died are given to another, beyond their `expireInSeconds`.
      superviseIntervalSeconds: 2,
      monitorIntervalSeconds: 2,
      maintenanceIntervalSeconds: 300,
      monitorVacuum: false,
      reindex: false,
    });
    this.#boss.on("error", onError);
  }

  /** Connects, and makes pg-boss's schema at the first start ever. Safe to call by every service. */
  async start(): Promise<void> {
    this.#started ??= this.#boss.start();
    await this.#started;
  }

  /** Makes the queue (and its dead-letter queue), or has it follow the definition. Before the first `send`. */
  async queue(definition: QueueDefinition): Promise<void> {
    const { name, deadLetter, ...options } = definition;
    let made = this.#queues.get(name);
    if (!made) {
      made = (async () => {
        await this.start();
        if (deadLetter !== undefined) await this.queue({ name: deadLetter, retentionSeconds: 60 * 86_400 });
        const dead = deadLetter === undefined ? {} : { deadLetter };
        await this.#boss.createQueue(name, { ...options, notify: false, ...dead });
        // One that an older version made has that version's pauses and limits.
        await this.#boss.updateQueue(name, { ...options, notify: false });
      })();
      this.#queues.set(name, made);
    }
    await made;
  }

  /** Puts jobs into the caller's transaction, by one statement: a rollback takes them away. */
  async put(tx: Tx, jobs: readonly NewJob[]): Promise<void> {
    if (jobs.length > 0) await runStatement(connectionOf(tx), insertJobs("$1"), [await jobRows(jobs)]);
  }

  /** Takes a job away that is no longer needed, in the caller's transaction. */
  async remove(tx: Tx, queue: string, id: string): Promise<void> {
    await this.#boss.deleteJob(queue, id, through(tx));
  }

  /** Puts these jobs of a dead-letter queue back where they came from, with all their retries, in the caller's transaction. */
  async redrive(tx: Tx, deadLetterQueue: string, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const moved = await this.#boss.redrive(deadLetterQueue, {
      ids: [...ids],
      limit: ids.length,
      ...through(tx),
    });
    if (moved !== ids.length) throw new Error(`${moved} of ${ids.length} jobs could be put back`);
  }

  /**
   * Handles the jobs of a queue, once for each node however many services ask. A handler that throws has its job, and
   * only its, retried, and at last dead-lettered.
   */
  async work<T extends object>(
    queue: string,
    options: WorkerOptions,
    handle: (data: T) => Promise<void>,
  ): Promise<void> {
    if (this.#workers.has(queue)) return;
    this.#workers.add(queue);
    await this.start();
    const pollSeconds = Math.min(options.pollSeconds ?? this.#pollSeconds, this.#pollSeconds);
    await this.#boss.work<T & { origin?: Origin }>(
      queue,
      {
        pollingIntervalSeconds: pollSeconds,
        batchSize: options.batch ?? 1,
        localConcurrency: options.takers ?? 1,
        perJobResults: true,
      },
      async (jobs) => {
        const results = await inLanes(jobs, ({ id, data }) =>
          resultOf(id, () => inOrigin(queue, id, data, () => handle(data))),
        );
        await this.#removeDone(queue, jobs, results);
        return results;
      },
    );
  }

  /**
   * Takes away the jobs of a batch that are done. pg-boss would keep them for a while, and what it reads to complete and
   * to count jobs is all that a queue keeps. Where this fails they are completed in its way.
   */
  async #removeDone(queue: string, jobs: readonly Job[], results: readonly JobResult[]): Promise<void> {
    const done = new Set(results.filter(({ status }) => status === "completed").map(({ id }) => id));
    // With its attempt: one that was given to another node meanwhile is that node's to end.
    const attempts = jobs.flatMap(({ id, retryCount }) => (done.has(id) ? [{ id, retryCount }] : []));
    if (attempts.length > 0) await this.#boss.deleteJob(queue, attempts).catch(() => undefined);
  }

  /** Takes no more jobs, and lets those under way end: they may still call others. */
  async quiesce(): Promise<void> {
    await Promise.all([...this.#workers].map((queue) => this.#boss.offWork(queue)));
  }

  /** Lets running handlers end, then disconnects. */
  async stop(): Promise<void> {
    if (this.#started === undefined) return;
    await this.#started.catch(() => undefined);
    await this.#boss.stop({ graceful: true, timeout: 5_000 });
  }

  /** Throws if the queues can't be reached. */
  async ping(): Promise<void> {
    await this.#boss.schemaVersion();
  }

  /** pg-boss itself, for what only an operator does: counting, redriving. */
  get boss(): PgBoss {
    return this.#boss;
  }
}

/**
 * A part of a statement that does more: puts jobs in as pg-boss's own INSERT does, with what their queue says of retries
 * and times. A queue that isn't there fails the statement. jobs.test.ts holds the rows against pg-boss's.
 * @param rows the SQL parameter that is given {@link jobRows}
 * @param onlyIf a part of the same statement: without a row there, nothing is put in
 */
export const insertJobs = (rows: string, onlyIf?: string) => `
  INSERT INTO pgboss.job (id, name, data, start_after, keep_until, expire_seconds, deletion_seconds, retry_limit,
    retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds)
  SELECT job.id, queue.name, job.data, due.at, due.at + queue.retention_seconds * interval '1 s', queue.expire_seconds,
    queue.deletion_seconds, queue.retry_limit, queue.retry_delay, queue.retry_backoff, queue.retry_delay_max,
    queue.policy, queue.dead_letter, queue.heartbeat_seconds
  FROM jsonb_to_recordset(${rows}::jsonb) AS job (id uuid, queue text, data jsonb, start_after timestamptz)
    LEFT JOIN pgboss.queue ON queue.name = job.queue
    CROSS JOIN LATERAL (SELECT coalesce(job.start_after, now()) AS at) AS due
  ${onlyIf === undefined ? "" : `WHERE EXISTS (TABLE ${onlyIf})`}`;

/** The jobs as {@link insertJobs} takes them. */
export async function jobRows(jobs: readonly NewJob[]): Promise<string> {
  const rows = await Promise.all(
    jobs.map(({ queue, data, id, startAfter }) =>
      traced(
        { name: `send ${queue}`, kind: "producer", attributes: jobAttributes("send", queue) },
        async () => ({
          id: id ?? newId(),
          queue,
          data: withOrigin(data),
          start_after: startAfter?.toISOString(),
        }),
      ),
    ),
  );
  return JSON.stringify(rows);
}

/** A part of a statement that does more: takes a job away, as {@link Jobs.remove} does. Both are SQL expressions. */
export const removeJob = (queue: string, id: string) =>
  `DELETE FROM pgboss.job WHERE name = ${queue} AND id = ${id} RETURNING id`;

/** Runs pg-boss's statements on the connection of a Sequelize transaction. */
function through(tx: Tx): Required<ConnectionOptions> {
  return {
    db: {
      async executeSql(text: string, values?: unknown[]) {
        return { rows: await runStatement(connectionOf(tx), text, values ?? []) };
      },
    },
  };
}

/**
 * Jobs of a batch that are handled at once. All hundred would take a slow subscriber so long that each times out, and its
 * circuit opens.
 */
const LANES = 8;

/** Does the work for each item, some at a time. @returns the results, in the order they came */
async function inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.values();
  const lane = async () => {
    for (const item of left) results.push(await work(item));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}

/** How one job of a batch ended, as pg-boss is told. An error's text may hold personal data: only its name is kept. */
async function resultOf(id: string, work: () => Promise<void>): Promise<JobResult> {
  try {
    await work();
    return { id, status: "completed" };
  } catch (error) {
    const reason = failureCode(error) ?? (error instanceof Error ? error.name : "unknown");
    return { id, status: "failed", output: { reason } };
  }
}
