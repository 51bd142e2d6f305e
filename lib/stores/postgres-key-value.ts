import type pg from "pg";
import type { KeyValueStore, Versioned } from "./key-value.ts";

const LOCK = 7_203_002;

/** Makes the table where it isn't there yet. */
export const KEY_VALUE_TABLE = `
  CREATE SCHEMA IF NOT EXISTS kv;
  CREATE TABLE IF NOT EXISTS kv.entries (
    key text PRIMARY KEY,
    value jsonb NOT NULL,
    version bigint NOT NULL,
    expires_at timestamptz NOT NULL
  );
  CREATE INDEX IF NOT EXISTS entries_expires_at ON kv.entries (expires_at);`;

interface Row {
  key: string;
  json: string;
  version: string;
}

/** Keys that are read by one statement, and what is under those that were found. */
interface Reading {
  keys: string[];
  rows: Promise<Map<string, Row>>;
}

/**
 * The embedded key-value store: one table, rows past `expires_at` count as absent. Its statements are prepared, by name,
 * once on each connection.
 */
export class PostgresKeyValue implements KeyValueStore {
  readonly #pool: pg.Pool;
  #table: Promise<void> | undefined;
  #next: Reading | undefined;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Makes the table if it isn't there; again at the next use, if that failed. */
  #ready(): Promise<void> {
    this.#table ??= this.#prepare().catch((error: unknown) => {
      this.#table = undefined;
      throw error;
    });
    return this.#table;
  }

  async #prepare(): Promise<void> {
    const { rows } = await this.#pool.query("SELECT to_regclass('kv.entries') IS NOT NULL AS found");
    if (rows[0]?.found === true) return;
    // One implicit transaction. Several nodes may come here at once, and IF NOT EXISTS alone can still collide.
    await this.#pool.query(`SELECT pg_advisory_xact_lock(${LOCK}); ${KEY_VALUE_TABLE}`);
  }

  async get<T extends object>(key: string): Promise<Versioned<T> | null> {
    await this.#ready();
    this.#next ??= this.#gather();
    const { keys, rows } = this.#next;
    keys.push(key);
    const row = (await rows).get(key);
    if (!row) return null;
    const value: T = JSON.parse(row.json);
    return { value, version: Number(row.version) };
  }

  /** Reads together what is asked for in the same turn: a session and its revocation, say. */
  #gather(): Reading {
    const keys: string[] = [];
    const read = async () => {
      await new Promise<void>((resolve) => process.nextTick(resolve));
      this.#next = undefined;
      const { rows } = await this.#pool.query<Row>({
        name: "kv-get",
        text: "SELECT key, value::text AS json, version FROM kv.entries WHERE key = ANY($1) AND expires_at > now()",
        values: [keys],
      });
      return new Map(rows.map((row) => [row.key, row]));
    };
    return { keys, rows: read() };
  }

  async compareAndSet<T extends object>(
    key: string,
    expected: number | null,
    value: T,
    ttl: number,
  ): Promise<boolean> {
    await this.#ready();
    const json = JSON.stringify(value);
    // A new version is drawn from the clock, so that a key deleted and made anew never repeats one.
    const { rowCount } =
      expected === null
        ? await this.#pool.query({
            name: "kv-make",
            text: `INSERT INTO kv.entries AS e (key, value, version, expires_at)
             VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, now() + make_interval(secs => $3))
             ON CONFLICT (key) DO UPDATE
               SET value = excluded.value, version = greatest(excluded.version, e.version + 1), expires_at = excluded.expires_at
               WHERE e.expires_at <= now()`,
            values: [key, json, ttl],
          })
        : await this.#pool.query({
            name: "kv-change",
            text: `UPDATE kv.entries SET value = $2, version = version + 1, expires_at = now() + make_interval(secs => $3)
             WHERE key = $1 AND version = $4 AND expires_at > now()`,
            values: [key, json, ttl, expected],
          });
    return rowCount === 1;
  }

  async delete(key: string, expected?: number): Promise<boolean> {
    await this.#ready();
    const { rowCount } = await this.#pool.query(
      "DELETE FROM kv.entries WHERE key = $1 AND ($2::bigint IS NULL OR version = $2)",
      [key, expected ?? null],
    );
    return rowCount === 1;
  }

  /** Takes expired rows away; run now and then, by any node. */
  async sweep(): Promise<number> {
    await this.#ready();
    const { rowCount } = await this.#pool.query(
      "DELETE FROM kv.entries WHERE expires_at < now() - interval '1 minute'",
    );
    return rowCount ?? 0;
  }

  async ping(): Promise<void> {
    await this.#ready();
    await this.#pool.query("SELECT 1");
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
