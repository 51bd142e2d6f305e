import { eventually } from "./client.ts";
import { query } from "./query.ts";
import { createDatabase, type Shop, startShop } from "./shop.ts";

/** What a shop's work costs Postgres, counted by it in rows and calls: time would say more about the machine. */
interface Cost {
  /** Rows of `schema.table` that were read, by whatever way. */
  rowsOf: (schema: string, table: string) => Promise<number>;
  /** Calls of SQL functions of that name. */
  callsOf: (...names: string[]) => Promise<number>;
}

/**
 * Runs `work` on a new shop.
 * @param prepare SQL that fills its database, as a large import does: Postgres learns nothing of these tables by itself
 */
export async function costOf(
  tables: readonly string[],
  prepare: readonly string[],
  work: (shop: Shop) => Promise<unknown>,
): Promise<Cost> {
  const databaseUrl = await createDatabase();
  const statements = [
    `ALTER DATABASE ${new URL(databaseUrl).pathname.slice(1)} SET track_functions = 'all'`,
    ...tables.map((table) => `ALTER TABLE ${table} SET (autovacuum_enabled = false)`),
    ...prepare,
    "SELECT pg_stat_reset()",
  ];
  for (const statement of statements) await query(databaseUrl, statement);
  const shop = await startShop({ databaseUrl, env: { DATABASE_POOL: "2" } });
  try {
    await work(shop);
  } finally {
    await shop.stop();
  }
  // Each connection brings its figures as it closes.
  await eventually(async () => {
    const open = await query(
      databaseUrl,
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND backend_type = 'client backend'`,
    );
    return open.length === 0;
  });
  const figure = async (sql: string): Promise<number> => {
    const [row] = await query<{ figure: number }>(databaseUrl, `SELECT (${sql})::integer AS figure`);
    return row?.figure ?? 0;
  };
  return {
    rowsOf: (schema, table) =>
      figure(
        `SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables
         WHERE schemaname = '${schema}' AND relname = '${table}'`,
      ),
    callsOf: (...names) =>
      figure(`SELECT sum(calls) FROM pg_stat_user_functions WHERE funcname IN ('${names.join("', '")}')`),
  };
}
