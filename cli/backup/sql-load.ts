import { pipeline } from "node:stream/promises";
import { from as copyFrom } from "pg-copy-streams";
import { SQL_SERVICES } from "../../lib/service-names.ts";
import type { Migration } from "../../lib/stores/migrate.ts";
import { MIGRATION_LOCK } from "../../lib/stores/migrate.ts";
import { migrations } from "../../services/migrations.ts";
import { CliError } from "../lib/errors.ts";
import type { SqlStore } from "../lib/stores.ts";
import { clearPostgresEntries, type KeyValue, loadPostgresEntries } from "./key-values.ts";
import { type Jobs, jobsSection, type Manifest, type Schema, type Table, tableSection } from "./manifest.ts";
import { columnList, describeTables, JOB_TABLES } from "./sql-snapshot.ts";

/** What goes into one table: `schema` is the service's or pgboss. */
interface Target {
  schema: string;
  table: Table;
}

/**
 * One database being restored, in one transaction: until {@link commit} nobody sees any of it, and when anything fails
 * all is as it was.
 */
export class SqlLoader {
  readonly store: SqlStore;
  readonly #schemas: readonly Schema[];
  readonly #targets = new Map<string, Target>();
  readonly #hasJobs: boolean;

  private constructor(
    store: SqlStore,
    schemas: readonly Schema[],
    jobs: readonly { jobs: Jobs; index: number }[],
  ) {
    this.store = store;
    this.#schemas = schemas;
    this.#hasJobs = jobs.length > 0;
    for (const { name, tables } of schemas)
      for (const table of tables) this.#targets.set(tableSection(name, table.name), { schema: name, table });
    for (const { jobs: one, index } of jobs)
      for (const table of one.tables)
        this.#targets.set(jobsSection(index, table.name), { schema: "pgboss", table });
  }

  /** Begins the transaction, and makes the schemas anew, empty, as they were when the backup was taken. */
  static async open(store: SqlStore, manifest: Manifest): Promise<SqlLoader> {
    const schemas = manifest.schemas.filter(({ name }) => store.services.some((service) => service === name));
    const jobs = jobsFor(store, manifest);
    const loader = new SqlLoader(store, schemas, jobs);
    if (jobs.length > 0) await prepareQueues(store, jobs);
    await store.client.query(`BEGIN; SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
    for (const schema of schemas) await loader.#make(schema);
    if (jobs.length > 0)
      await store.client.query(`TRUNCATE ${JOB_TABLES.map((name) => `pgboss.${name}`).join(", ")} CASCADE`);
    if (store.hasKeyValues) await clearPostgresEntries(store.client);
    return loader;
  }

  async #make({ name, migrations: applied, tables }: Schema): Promise<void> {
    const { client } = this.store;
    await client.query(
      `DROP SCHEMA IF EXISTS "${name}" CASCADE; CREATE SCHEMA "${name}";
       CREATE TABLE "${name}".migrations (name varchar(255) NOT NULL PRIMARY KEY)`,
    );
    for (const migration of historyOf(name)) {
      if (applied.includes(migration.name)) await this.#migrate(name, migration);
    }
    // Rows that a migration makes come from the archive, and triggers have left their mark on them already.
    if (tables.length > 0)
      await client.query(`TRUNCATE ${tables.map((table) => `"${name}"."${table.name}"`).join(", ")}`);
    for (const table of tables)
      await client.query(`ALTER TABLE "${name}"."${table.name}" DISABLE TRIGGER USER`);
  }

  async #migrate(schema: string, { name, up }: Migration): Promise<void> {
    const { client } = this.store;
    await client.query(`SET LOCAL search_path TO "${schema}", public`);
    await client.query(up);
    await client.query(`SET LOCAL search_path TO DEFAULT`);
    await client.query(`INSERT INTO "${schema}".migrations (name) VALUES ($1)`, [name]);
  }

  /** Whether a section of the archive goes into this database. */
  takes(section: string): boolean {
    return this.#targets.has(section);
  }

  /** Loads a table from all its parts. @returns how many rows it took */
  async load(section: string, content: AsyncIterable<Buffer>): Promise<number> {
    const target = this.#targets.get(section);
    if (!target) throw new Error(`${section} has no place here.`);
    const { schema, table } = target;
    const { client } = this.store;
    if (schema === "pgboss" && table.name === "queue") return await this.#loadQueues(table, content);
    return await this.#copy(`"${schema}"."${table.name}" (${columnList(table)})`, content, client);
  }

  /** The queues of several databases may come together in one. */
  async #loadQueues(table: Table, content: AsyncIterable<Buffer>): Promise<number> {
    const { client } = this.store;
    const columns = columnList(table);
    await client.query(
      "CREATE TEMP TABLE restored_queue (LIKE pgboss.queue INCLUDING DEFAULTS) ON COMMIT DROP",
    );
    const rows = await this.#copy(`restored_queue (${columns})`, content, client);
    await client.query(
      `INSERT INTO pgboss.queue (${columns}) SELECT ${columns} FROM restored_queue ON CONFLICT (name) DO NOTHING;
       DROP TABLE restored_queue`,
    );
    return rows;
  }

  async #copy(into: string, content: AsyncIterable<Buffer>, client: SqlStore["client"]): Promise<number> {
    // Where the content fails, this also tells Postgres so: a COPY that was left open would hold up the rollback for ever.
    const sink = client.query(copyFrom(`COPY ${into} FROM STDIN`));
    await pipeline(content, sink);
    return sink.rowCount;
  }

  async loadEntries(entries: readonly KeyValue[]): Promise<void> {
    await loadPostgresEntries(this.store.client, entries);
  }

  /** Makes it whole: triggers, sequences, jobs that were under way, migrations that came since, statistics. */
  async complete(): Promise<void> {
    const { client } = this.store;
    await client.query("SET CONSTRAINTS ALL IMMEDIATE");
    for (const { name, tables, sequences, migrations: applied } of this.#schemas) {
      for (const table of tables)
        await client.query(`ALTER TABLE "${name}"."${table.name}" ENABLE TRIGGER USER`);
      for (const { name: sequence, last_value, is_called } of sequences)
        await client.query("SELECT setval($1::regclass, $2, $3)", [
          `"${name}"."${sequence}"`,
          last_value,
          is_called,
        ]);
      for (const migration of historyOf(name)) {
        if (!applied.includes(migration.name)) await this.#migrate(name, migration);
      }
    }
    if (this.#hasJobs) await client.query(MAKE_DUE);
    // Else a shop that is started at once has its statements planned as if Postgres knew nothing of its tables.
    for (const { schema, table } of this.#targets.values())
      await client.query(`ANALYZE "${schema}"."${table.name}"`);
  }

  async commit(): Promise<void> {
    await this.store.client.query("COMMIT");
  }

  async rollback(): Promise<void> {
    await this.store.client.query("ROLLBACK").catch(() => undefined);
  }
}

/**
 * Whoever was at work on a job is gone, so it is due again; and the time for which pg-boss keeps one that nobody took
 * begins anew, or an old backup's would be thrown away before they run.
 */
const MAKE_DUE = `
  UPDATE pgboss.job SET
    state = CASE WHEN retry_count > 0 THEN 'retry' ELSE 'created' END::pgboss.job_state,
    started_on = NULL, heartbeat_on = NULL, start_after = now()
  WHERE state = 'active';
  UPDATE pgboss.job SET keep_until = greatest(keep_until, now() + (keep_until - created_on)) WHERE state < 'active'`;

const historyOf = (name: string): readonly Migration[] =>
  SQL_SERVICES.flatMap((service) => (service === name ? migrations[service] : []));

function jobsFor({ services }: SqlStore, manifest: Manifest): { jobs: Jobs; index: number }[] {
  return manifest.jobs.flatMap((jobs, index) =>
    services.some((service) => jobs.services.includes(service)) ? [{ jobs, index }] : [],
  );
}

/** Makes pg-boss's schema, or brings it up to date. */
async function prepareQueues(store: SqlStore, jobs: readonly { jobs: Jobs }[]): Promise<void> {
  const { PgBoss } = await import("pg-boss");
  const boss = new PgBoss({
    connectionString: store.url,
    application_name: "molecart-cli",
    max: 2,
    supervise: false,
    schedule: false,
  });
  boss.on("error", () => undefined);
  await boss.start();
  const version = (await boss.schemaVersion()) ?? 0;
  await boss.stop({ graceful: false });
  const there = await describeTables(store.client, "pgboss");
  for (const { jobs: one } of jobs) {
    const columnsOf = (name: string) => there.find((table) => table.name === name)?.columns ?? [];
    const isKnown = one.tables.every(({ name, columns }) =>
      columns.every((column) => columnsOf(name).includes(column)),
    );
    if (one.version <= version && isKnown) continue;
    throw new CliError(
      `The backup's job queues (pg-boss schema ${one.version}) don't fit this molecart's (${version}).`,
      {
        next: "Restore it with the molecart that made it, then upgrade that shop. Nothing was restored.",
      },
    );
  }
}

/**
 * Refuses an archive that this molecart and these databases can't hold. Changes nothing.
 * @throws CliError
 */
export function checkFits(manifest: Manifest, databases: readonly SqlStore[]): void {
  for (const { name, migrations: applied } of manifest.schemas) {
    const known = historyOf(name).map((migration) => migration.name);
    const stranger = applied.find((migration, index) => known[index] !== migration);
    if (stranger === undefined) continue;
    throw new CliError(
      `The backup is of a newer schema: ${name} has the migration ${stranger}, which this molecart doesn't know.`,
      {
        next: `Restore it with molecart ${manifest.molecart}, or a newer one. Nothing was changed.`,
      },
    );
  }
  for (const { services } of manifest.jobs) {
    const homes = databases.filter((database) =>
      database.services.some((service) => services.includes(service)),
    );
    if (homes.length <= 1) continue;
    throw new CliError(
      `The backup has one database for ${services.join(", ")}; here they are in ${homes.length}.`,
      {
        next: "Their jobs can't be told apart: restore into one database (leave the <SERVICE>_DATABASE_URL away). Nothing was changed.",
      },
    );
  }
}

/** Rows that a shop makes by itself before anybody has used it. */
const OWN_TABLES = new Set(["migrations", "seeds", "stock_feed"]);

/** What stands in these schemas, as `orders.items: 12`; nothing for a shop that nobody has used. */
export async function contentsOf({ client, services }: SqlStore): Promise<{ what: string; rows: number }[]> {
  const found: { what: string; rows: number }[] = [];
  for (const service of services) {
    for (const { name } of await describeTables(client, service)) {
      if (OWN_TABLES.has(name)) continue;
      // The first admin is made at the start.
      const condition =
        service === "users" && name === "users"
          ? "WHERE role <> 'admin' OR (SELECT count(*) FROM users.users) > 1"
          : "";
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::float8 AS count FROM "${service}"."${name}" ${condition}`,
      );
      if ((rows[0]?.count ?? 0) > 0) found.push({ what: `${service}.${name}`, rows: rows[0]?.count ?? 0 });
    }
  }
  return found;
}
