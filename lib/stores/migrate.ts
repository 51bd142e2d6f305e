import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { type Database, sqlState } from "./database.ts";

const require = createRequire(import.meta.url);

/** One step of a schema's history. `up` and `down` are SQL run in one transaction each. */
export interface Migration {
  /** `0001-orders`: sorts by its number, never renamed once released. */
  name: string;
  up: string;
  down: string;
}

/**
 * How long a migration waits for a table. Whoever waits for one keeps everybody else from it, and a backup reads all
 * tables until its end: so the wait is short, and tried again.
 */
const LOCK_WAIT = "1s";
/** ms between two tries, in which the shop works. */
const PAUSE = 3_000;
/** No lock in time, or a deadlock with the shop's own statements: the migration was rolled back, and may be tried again. */
const BUSY = new Set(["55P03", "40P01"]);

export interface MigrateOptions {
  /** Is told of a migration that waits, at each try. */
  waits?: (name: string) => void;
}

/** Any number of nodes may start at once: one migrates, the others wait for it. The number is arbitrary but fixed. */
export const MIGRATION_LOCK = 7_203_001;

/**
 * Brings `schema` up to date.
 * @returns the names of the migrations that were applied now
 */
export async function migrate(
  db: Database,
  schema: string,
  migrations: readonly Migration[],
  options?: MigrateOptions,
): Promise<string[]> {
  if (await isCurrent(db, schema, migrations)) return [];
  return await alone(db, async () => {
    await db.sequelize.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
    const applied = await umzugOf(db, schema, migrations, options).up();
    return applied.map((migration) => migration.name);
  });
}

/** Runs `work` while nobody else migrates this database. */
export async function alone<T>(db: Database, work: () => Promise<T>): Promise<T> {
  const { sequelize } = db;
  return await sequelize.transaction(async (lock) => {
    // The session's time limits would end the wait behind many nodes, and the lock itself under a long migration.
    await sequelize.query(
      "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
      { transaction: lock },
    );
    await sequelize.query("SELECT pg_advisory_xact_lock($1)", { bind: [MIGRATION_LOCK], transaction: lock });
    return await work();
  });
}

/** The migrations that were applied to `schema`, oldest first; those of a newer version among them. */
export async function appliedTo(db: Database, schema: string): Promise<string[]> {
  const [table] = await db.rows<{ found: string | null }>("SELECT to_regclass($1)::text AS found", [
    `"${schema}".migrations`,
  ]);
  if (!table?.found) return [];
  const rows = await db.rows<{ name: string }>(`SELECT name FROM "${schema}".migrations ORDER BY name`);
  return rows.map(({ name }) => name);
}

/** For `molecart migrate`: what is applied, what is pending, and the way back. */
export function umzugOf(
  db: Database,
  schema: string,
  migrations: readonly Migration[],
  { waits }: MigrateOptions = {},
) {
  // With it comes a command line of its own, a tenth of all that a node loads: only where there is something to do.
  const { Umzug }: typeof import("umzug") = require("umzug");
  const { sequelize } = db;
  const table = `"${schema}".migrations`;
  // What is done and that it was done are one transaction: a node that dies in between would leave a schema on which none
  // starts, since the migration can't be done again.
  const once = (name: string, sql: string, note: string) =>
    sequelize.transaction(async (transaction) => {
      await sequelize.query(
        `SET LOCAL search_path TO "${schema}", public; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '${LOCK_WAIT}'`,
        { transaction },
      );
      await sequelize.query(sql, { transaction });
      await sequelize.query(note, { bind: [name], transaction });
    });
  const run = async (name: string, sql: string, note: string) => {
    for (;;) {
      try {
        return await once(name, sql, note);
      } catch (error) {
        if (!BUSY.has(sqlState(error) ?? "")) throw error;
        waits?.(name);
        await delay(PAUSE);
      }
    }
  };
  return new Umzug({
    migrations: migrations.map(({ name, up, down }) => ({
      name,
      up: async () => await run(name, up, `INSERT INTO ${table} (name) VALUES ($1)`),
      down: async () => await run(name, down, `DELETE FROM ${table} WHERE name = $1`),
    })),
    storage: {
      executed: async () => {
        await sequelize.query(`CREATE TABLE IF NOT EXISTS ${table} (name varchar(255) NOT NULL PRIMARY KEY)`);
        return await appliedTo(db, schema);
      },
      logMigration: async () => undefined,
      unlogMigration: async () => undefined,
    },
    logger: undefined,
  });
}

/** Whether every migration was applied: one cheap question, so that a start with nothing to migrate takes no lock. */
export async function isCurrent(
  db: Database,
  schema: string,
  migrations: readonly Migration[],
): Promise<boolean> {
  const applied = await appliedTo(db, schema);
  return migrations.every(({ name }) => applied.includes(name));
}
