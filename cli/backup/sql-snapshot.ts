import type pg from "pg";
import { to as copyTo } from "pg-copy-streams";
import type { SqlService } from "../../lib/service-names.ts";
import { CliError, codeOf } from "../lib/errors.ts";
import type { SqlStore } from "../lib/stores.ts";
import type { WriteLines } from "./archive-writer.ts";
import type { Jobs, Schema, Table } from "./manifest.ts";

/** What refers to orders by id is looked at after them, what inventory tells of before it: see {@link openSnapshots}. */
const RANKS: Readonly<Record<SqlService, number>> = {
  orders: 0,
  products: 1,
  users: 2,
  inventory: 3,
  payments: 4,
};
const LOCK_TRIES = 3;
const LOCK_TIMEOUT = "55P03";

/** The tables of pg-boss that hold jobs; the others it fills by itself. A queue stands before what refers to it. */
export const JOB_TABLES = ["queue", "schedule", "subscription", "job", "job_dependency"] as const;

/**
 * Begins a transaction on each database that sees all of it as it is now, until the transaction ends.
 *
 * Several databases are not seen at the very same time. So orders are seen first, and none is written until the others are
 * seen, too: whatever another service knows of an order, orders know that order, and its saga asks again for
 * what it doesn't know yet. That holds new orders up for some ms.
 * @throws CliError
 */
export async function openSnapshots(databases: readonly SqlStore[]): Promise<void> {
  const rank = ({ services }: SqlStore) => Math.min(...services.map((service) => RANKS[service]));
  const sorted = [...databases].sort((a, b) => rank(a) - rank(b));
  const [first] = sorted;
  const pause =
    first && sorted.length > 1 && first.services.includes("orders") ? await pauseOrders(first) : undefined;
  try {
    for (const { client } of sorted) {
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      await client.query("SELECT 1");
    }
  } finally {
    await pause?.();
  }
}

/** Lets no order be written until it is called back. */
async function pauseOrders({ url, where }: SqlStore): Promise<() => Promise<void>> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: url, application_name: "molecart-cli" });
  client.on("error", () => undefined);
  await client.connect();
  const { rows } = await client.query("SELECT to_regclass('orders.sagas') IS NOT NULL AS found");
  if (rows[0]?.found !== true) return () => client.end();
  for (let tries = 1; ; tries++) {
    try {
      await client.query("BEGIN; SET LOCAL lock_timeout = '2s'");
      await client.query("LOCK TABLE orders.orders, orders.sagas IN SHARE ROW EXCLUSIVE MODE");
      return () => client.end();
    } catch (error) {
      await client.query("ROLLBACK").catch(() => undefined);
      if (codeOf(error) === LOCK_TIMEOUT && tries < LOCK_TRIES) continue;
      await client.end();
      throw new CliError(
        `The orders at ${where} could not be held still for a moment: somebody has locked them.`,
        {
          next: "Look for a long transaction there (pg_stat_activity), and try again.",
        },
      );
    }
  }
}

/** What a service's schema consists of; null if it has none yet. */
export async function describeSchema(client: pg.Client, name: SqlService): Promise<Schema | null> {
  const found = await client.query("SELECT to_regclass($1) IS NOT NULL AS found", [`${name}.migrations`]);
  if (found.rows[0]?.found !== true) return null;
  const migrations = await client.query<{ name: string }>(
    `SELECT name FROM ${name}.migrations ORDER BY name`,
  );
  const tables = (await describeTables(client, name)).filter((table) => table.name !== "migrations");
  const { rows: names } = await client.query<{ name: string }>(
    "SELECT sequencename AS name FROM pg_sequences WHERE schemaname = $1 ORDER BY 1",
    [name],
  );
  return {
    name,
    migrations: migrations.rows.map((row) => row.name),
    tables,
    // Filled in last of all: what a sequence has given is in no snapshot, and must cover every row.
    sequences: names.map((sequence) => ({ name: sequence.name, last_value: "0", is_called: false })),
  };
}

/** Where the sequences of a schema stand now. */
export async function readSequences(client: pg.Client, schema: Schema): Promise<void> {
  for (const sequence of schema.sequences) {
    const { rows } = await client.query<{ last_value: string; is_called: boolean }>(
      `SELECT last_value::text, is_called FROM ${schema.name}."${sequence.name}"`,
    );
    Object.assign(sequence, rows[0]);
  }
}

/** The queues and jobs of a database; null if no service has started on it. */
export async function describeJobs(client: pg.Client, services: readonly SqlService[]): Promise<Jobs | null> {
  const found = await client.query("SELECT to_regclass('pgboss.version') IS NOT NULL AS found");
  if (found.rows[0]?.found !== true) return null;
  const { rows } = await client.query<{ version: number }>("SELECT version FROM pgboss.version");
  const tables = await describeTables(client, "pgboss");
  return {
    services: [...services],
    version: rows[0]?.version ?? 0,
    tables: JOB_TABLES.flatMap((name) => tables.filter((table) => table.name === name)),
  };
}

/** The tables of a schema with the columns that can be written, what is referred to first. */
export async function describeTables(client: pg.Client, schema: string): Promise<Table[]> {
  const { rows: tables } = await client.query<Table>(
    `SELECT c.relname AS name,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
     FROM pg_class c WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     ORDER BY 1`,
    [schema],
  );
  const { rows: references } = await client.query<{ from: string; to: string }>(
    `SELECT a.relname AS from, b.relname AS to FROM pg_constraint k
     JOIN pg_class a ON a.oid = k.conrelid JOIN pg_class b ON b.oid = k.confrelid
     WHERE k.contype = 'f' AND k.connamespace = to_regnamespace($1) AND a.oid <> b.oid`,
    [schema],
  );
  const sorted: Table[] = [];
  const visit = (table: Table) => {
    if (sorted.includes(table)) return;
    for (const { to } of references.filter(({ from }) => from === table.name)) {
      const parent = tables.find(({ name }) => name === to);
      if (parent) visit(parent);
    }
    sorted.push(table);
  };
  for (const table of tables) visit(table);
  return sorted;
}

export const columnList = ({ columns }: Table) => columns.map((column) => `"${column}"`).join(", ");

export async function countRows(client: pg.Client, schema: string, table: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::float8 AS count FROM "${schema}"."${table}"`,
  );
  return rows[0]?.count ?? 0;
}

/** Writes a table's rows as `COPY` gives them. */
export async function dumpTable(
  client: pg.Client,
  schema: string,
  table: Table,
  write: WriteLines,
): Promise<void> {
  const rows = client.query(
    copyTo(`COPY (SELECT ${columnList(table)} FROM "${schema}"."${table.name}") TO STDOUT`),
  );
  for await (const chunk of rows) await write(chunk);
}
