import { type ConnectionOptions, type JobResult, PgBoss, type QueueOptions, type SendOptions } from "pg-boss";
import { failureCode } from "../errors.ts";
import { traced } from "../tracing/tracing.ts";
import type { Tx } from "./database.ts";
import { inOrigin, jobAttributes, type Origin, withOrigin } from "./job-origin.ts";
import { connectionOf, runStatement } from "./statements.ts";

export interface QueueDefinition extends QueueOptions {
  name: string;
  /** Whether a new job is announced to the workers at once; default true. Where it isn't, they look for it. */
  notify?: boolean;
  /** Where a job goes after its last retry; made too. */
  deadLetter?: string;
}

export interface WorkerOptions {
  /** How many jobs this node takes at a time, to handle them side by side; the next are taken when all have ended. */
  batch?: number;
  /** How many such takers there are: for jobs that can be slow. */
  takers?: number;
  /** s between looks, at most; default: as often as the node looks for jobs at all. */
  pollSeconds?: number;
}

interface JobsOptions {
  url: string;
  /** s between looks for jobs that became due; new ones are announced by NOTIFY. 0.5 at least. */
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
      options: "-c synchronous_commit=off",
      useListenNotify: true,
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
        const notify = definition.notify ?? true;
        const dead = deadLetter === undefined ? {} : { deadLetter };
        await this.#boss.createQueue(name, { ...options, notify, ...dead });
        // One that an older version made has that version's pauses and limits.
        await this.#boss.updateQueue(name, { ...options, notify });
      })();
      this.#queues.set(name, made);
    }
    await made;
  }

  /** Puts a job into the caller's transaction: a rollback takes it away. */
  async send(tx: Tx, queue: string, data: object, options: SendOptions = {}): Promise<void> {
    await sending(queue, () => this.#boss.send(queue, withOrigin(data), { ...options, ...through(tx) }));
  }

  /**
   * Puts a job into each of several queues, by one statement in the caller's transaction: the statements that pg-boss
   * would send, side by side. Only for queues that aren't announced (`notify: false`), whose statement is a bare INSERT.
   */
  async sendEach(tx: Tx, jobs: readonly { queue: string; data: object }[]): Promise<void> {
    const inserts: { text: string; values: unknown[] }[] = [];
    const db: ConnectionOptions["db"] = {
      async executeSql(text: string, values: unknown[] = []) {
        inserts.push({ text, values });
        return { rows: [{}] };
      },
    };
    for (const { queue, data } of jobs)
      await sending(queue, () => this.#boss.send(queue, withOrigin(data), { db }));
    const parts = inserts.map(({ text }, index) => `job${index} AS (${text.replace("$1", `$${index + 1}`)})`);
    const counts = inserts.map((_insert, index) => `(SELECT count(*)::integer FROM job${index})`);
    const [row] = await runStatement<{ sent: number }>(
      connectionOf(tx),
      `WITH ${parts.join(", ")} SELECT ${counts.join(" + ")} AS sent`,
      inserts.flatMap(({ values }) => values),
    );
    if (row?.sent !== jobs.length) throw new Error(`${row?.sent} of ${jobs.length} jobs were put in`);
  }

  /** Takes a job away that is no longer needed, in the caller's transaction. */
  async remove(tx: Tx, queue: string, id: string): Promise<void> {
    await this.#boss.deleteJob(queue, id, through(tx));
  }

  /** Puts several jobs of one queue into the caller's transaction, by one statement. */
  async sendAll(tx: Tx, queue: string, jobs: readonly { data: object; startAfter?: Date }[]): Promise<void> {
    if (jobs.length === 0) return;
    await sending(queue, () =>
      this.#boss.insert(
        queue,
        jobs.map((job) => ({ ...job, data: withOrigin(job.data) })),
        through(tx),
      ),
    );
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
        notifyPollingIntervalSeconds: pollSeconds,
        batchSize: options.batch ?? 1,
        localConcurrency: options.takers ?? 1,
        perJobResults: true,
      },
      async (jobs) =>
        await Promise.all(
          jobs.map(
            async ({ id, data }) => await resultOf(id, () => inOrigin(queue, id, data, () => handle(data))),
          ),
        ),
    );
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

/** A part of a statement that does more: takes a job away, as {@link Jobs.remove} does. Both are SQL expressions. */
export const removeJob = (queue: string, id: string) =>
  `DELETE FROM pgboss.job WHERE name = ${queue} AND id = ${id} RETURNING id`;

function sending<T>(queue: string, work: () => Promise<T>): Promise<T> {
  return traced({ name: `send ${queue}`, kind: "producer", attributes: jobAttributes("send", queue) }, work);
}

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
