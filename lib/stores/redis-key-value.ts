import type { Redis } from "ioredis";
import type { KeyValueStore, Versioned } from "./key-value.ts";

/** Each entry is a hash of `version` and `value`, written by scripts, so that compare and set are one step. */
const COMPARE_AND_SET = `
  local current = redis.call('HGET', KEYS[1], 'version')
  if (current or '') ~= ARGV[1] then return 0 end
  local version
  if current then
    version = tonumber(current) + 1
  else
    -- Drawn from the clock, so that a key deleted and made anew never repeats a version.
    local now = redis.call('TIME')
    version = tonumber(now[1]) * 1000000 + tonumber(now[2])
  end
  redis.call('HSET', KEYS[1], 'version', string.format('%.0f', version), 'value', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return 1`;

const COMPARE_AND_DELETE = `
  if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
  return redis.call('DEL', KEYS[1])`;

/** The key-value store of a cluster. */
export class RedisKeyValue implements KeyValueStore {
  readonly #redis: Redis;
  readonly #prefix: string;

  /** @param prefix keeps several shops on one Redis apart */
  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  #key(key: string): string {
    return `${this.#prefix}:kv:${key}`;
  }

  async get<T extends object>(key: string): Promise<Versioned<T> | null> {
    const [version, value] = await this.#redis.hmget(this.#key(key), "version", "value");
    if (version == null || value == null) return null;
    const parsed: T = JSON.parse(value);
    return { value: parsed, version: Number(version) };
  }

  async compareAndSet<T extends object>(
    key: string,
    expected: number | null,
    value: T,
    ttl: number,
  ): Promise<boolean> {
    const done = await this.#redis.eval(
      COMPARE_AND_SET,
      1,
      this.#key(key),
      expected === null ? "" : String(expected),
      JSON.stringify(value),
      String(Math.round(ttl * 1000)),
    );
    return done === 1;
  }

  async delete(key: string, expected?: number): Promise<boolean> {
    if (expected === undefined) return (await this.#redis.del(this.#key(key))) === 1;
    return (await this.#redis.eval(COMPARE_AND_DELETE, 1, this.#key(key), String(expected))) === 1;
  }

  async ping(): Promise<void> {
    await this.#redis.ping();
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }
}
