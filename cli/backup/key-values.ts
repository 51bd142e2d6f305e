import type { Redis } from "ioredis";
import type pg from "pg";
import type { WriteLines } from "./archive-writer.ts";

/** A cart or a session, the same whether it is kept in Postgres or in Redis. */
export interface KeyValue {
  key: string;
  /** JSON, as the shop wrote it. */
  value: string;
  version: string;
  /** ms since 1970 */
  expires_at: number;
}

const BATCH = 500;
const CURSOR = "molecart_entries";

const line = (entry: KeyValue) => `${JSON.stringify(entry)}\n`;

/** Writes what has not expired; within the transaction that is open. */
export async function dumpPostgresEntries(client: pg.Client, write: WriteLines): Promise<void> {
  const { rows } = await client.query("SELECT to_regclass('kv.entries') IS NOT NULL AS found");
  if (rows[0]?.found !== true) return;
  await client.query(
    `DECLARE ${CURSOR} CURSOR FOR SELECT key, value::text, version::text,
       floor(extract(epoch FROM expires_at) * 1000)::float8 AS expires_at
     FROM kv.entries WHERE expires_at > now()`,
  );
  for (;;) {
    const batch = await client.query<KeyValue>(`FETCH ${BATCH} FROM ${CURSOR}`);
    if (batch.rows.length === 0) break;
    await write(Buffer.from(batch.rows.map(line).join("")));
  }
  await client.query(`CLOSE ${CURSOR}`);
}

/** Makes the table if it isn't there, and empties it; within the transaction that is open. */
export async function clearPostgresEntries(client: pg.Client): Promise<void> {
  const { KEY_VALUE_TABLE } = await import("../../lib/stores/postgres-key-value.ts");
  await client.query(KEY_VALUE_TABLE);
  await client.query("TRUNCATE kv.entries");
}

export async function loadPostgresEntries(client: pg.Client, entries: readonly KeyValue[]): Promise<void> {
  await client.query(
    `INSERT INTO kv.entries (key, value, version, expires_at)
     SELECT key, value::jsonb, version, to_timestamp(expires_at / 1000)
     FROM json_to_recordset($1) AS entry (key text, value text, version bigint, expires_at float8)`,
    [JSON.stringify(entries)],
  );
}

/** The keys of one shop among others on the same Redis, each given once. */
async function* keysOf(redis: Redis, prefix: string): AsyncGenerator<string[]> {
  const match = `${prefix.replace(/[*?[\]\\]/g, "\\$&")}*`;
  const given = new Set<string>();
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", match, "COUNT", BATCH);
    cursor = next;
    // A scan may give a key twice.
    const fresh = [...new Set(keys)].filter((key) => !given.has(key));
    for (const key of fresh) given.add(key);
    if (fresh.length > 0) yield fresh;
  } while (cursor !== "0");
}

/** @param prefix of the keys, which is left out */
export async function dumpRedisEntries(redis: Redis, prefix: string, write: WriteLines): Promise<void> {
  for await (const keys of keysOf(redis, prefix)) {
    const pipeline = redis.pipeline();
    for (const key of keys) pipeline.hmget(key, "version", "value").pttl(key);
    const answers = (await pipeline.exec()) ?? [];
    let lines = "";
    for (const [index, key] of keys.entries()) {
      const [error, fields] = answers[index * 2] ?? [];
      if (error) throw error;
      const [version, value] = Array.isArray(fields) ? fields : [];
      const left = Number(answers[index * 2 + 1]?.[1]);
      // It has ended since the scan.
      if (typeof version !== "string" || typeof value !== "string" || !(left > 0)) continue;
      const expires_at = Date.now() + left;
      lines += line({ key: key.slice(prefix.length), value, version, expires_at });
    }
    if (lines !== "") await write(Buffer.from(lines));
  }
}

export async function clearRedisEntries(redis: Redis, prefix: string): Promise<void> {
  for await (const keys of keysOf(redis, prefix)) await redis.unlink(...keys);
}

export async function countRedisEntries(redis: Redis, prefix: string): Promise<number> {
  let count = 0;
  for await (const keys of keysOf(redis, prefix)) count += keys.length;
  return count;
}

export async function loadRedisEntries(
  redis: Redis,
  prefix: string,
  entries: readonly KeyValue[],
): Promise<void> {
  const pipeline = redis.pipeline();
  for (const { key, value, version, expires_at } of entries) {
    pipeline.hset(prefix + key, "version", version, "value", value).pexpireat(prefix + key, expires_at);
  }
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
}

/** Puts the keys of one prefix in the place of those of another. */
export async function renameRedisEntries(redis: Redis, from: string, to: string): Promise<void> {
  await clearRedisEntries(redis, to);
  for await (const keys of keysOf(redis, from)) {
    const pipeline = redis.pipeline();
    for (const key of keys) pipeline.rename(key, to + key.slice(from.length));
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  }
}
