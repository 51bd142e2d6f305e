import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { Cachers, type ServiceBroker } from "moleculer";
import type { LookUps } from "./memory-cacher.ts";
import { redisOf } from "./redis.ts";

/** ms: a cache that is slower than this is slower than the database. */
const TIMEOUT = 300;
/** ms that everything is a miss after Redis gave no answer: a frozen one must not cost every read its timeout. */
const PAUSE = 1_000;
/** s: longer than any entry may live. */
const GENERATION_TTL = 86_400;
/** Reads under way that a generation is remembered for. */
const MAX_READS = 10_000;

/**
 * Moleculer's cache in Redis, for which Redis is never needed: whatever fails is a miss. (The stock cacher ends the
 * process when a write fails, and holds a read up for ten seconds while Redis is away.)
 *
 * An entry carries the generations of its action, its service and the whole cache as they were when its read began. To
 * clean by a pattern is to draw a new generation: one command, where a scan would go through all carts and sessions
 * too. And a read that was under way meanwhile leaves an entry that is void already.
 */
export class RedisCacher extends Cachers.Base<{ missingResponse: null }> {
  readonly lookUps: LookUps = { asked: 0, found: 0 };
  readonly #url: string;
  #redis: Redis | undefined;
  #pausedUntil = 0;
  /** What was missed, and the generations at the first miss: `set` follows once it has been read. */
  readonly #reads = new Map<string, string>();

  constructor(url: string) {
    // What `get` answers for a miss: Moleculer compares with it, and its own default is undefined.
    super({ missingResponse: null });
    this.#url = url;
  }

  override init(broker: ServiceBroker): void {
    super.init(broker);
    this.#redis = redisOf(this.#url, TIMEOUT);
  }

  override async get(key: string): Promise<Record<string, unknown> | null> {
    this.lookUps.asked++;
    const found = await this.#try(async (redis) => {
      const [entry, ...generations] = await redis.mget(this.#key(key), ...this.#scopesOf(key));
      return { entry, generation: generations.map((one) => one ?? "").join(" ") };
    });
    if (!found) return null;
    const { entry, generation } = found;
    if (entry?.startsWith(`${generation}\n`)) {
      this.lookUps.found++;
      return JSON.parse(entry.slice(generation.length + 1));
    }
    if (this.#reads.size >= MAX_READS) this.#reads.clear();
    if (!this.#reads.has(key)) this.#reads.set(key, generation);
    return null;
  }

  override async set(key: string, data: unknown, ttl = 30): Promise<void> {
    const generation = this.#reads.get(key);
    this.#reads.delete(key);
    if (generation === undefined) return;
    this.metrics.increment("moleculer.cacher.set.total");
    const entry = `${generation}\n${JSON.stringify(data)}`;
    await this.#try((redis) => redis.set(this.#key(key), entry, "PX", Math.round(ttl * 1000)));
  }

  override async del(keys: string | string[]): Promise<void> {
    const all = Array.isArray(keys) ? keys : [keys];
    if (all.length === 0) return;
    this.metrics.increment("moleculer.cacher.del.total");
    await this.#try((redis) => redis.unlink(...all.map((key) => this.#key(key))));
  }

  /**
   * Forgets what matches, and may forget more: everything of the action (`products.list:**`), of the service
   * (`products.**`), or all. What Redis can't be told now expires by itself.
   */
  override async clean(match: string | string[] = "**"): Promise<void> {
    this.metrics.increment("moleculer.cacher.clean.total");
    for (const pattern of Array.isArray(match) ? match : [match]) {
      const fixed = pattern.split("*")[0] ?? "";
      if (fixed === pattern) await this.del(pattern);
      else await this.#try((redis) => redis.set(this.#scopeOf(fixed), randomUUID(), "EX", GENERATION_TTL));
    }
  }

  /** The scope of all keys that begin with `fixed`. */
  #scopeOf(fixed: string): string {
    const [all, service, action] = this.#scopesOf(fixed);
    if (fixed.includes(":")) return action;
    return fixed.includes(".") ? service : all;
  }

  /** Where the generations of a key `<service>.<action>:<params>` stand. */
  #scopesOf(key: string): [all: string, service: string, action: string] {
    const action = key.split(":", 1)[0] ?? "";
    const service = action.split(".", 1)[0] ?? "";
    return [this.#key("@"), this.#key(`@${service}`), this.#key(`@${action}`)];
  }

  #key(key: string): string {
    return `${this.prefix ?? ""}${key}`;
  }

  /** @returns undefined if Redis is away, and for a moment after it gave no answer */
  async #try<T>(work: (redis: Redis) => Promise<T>): Promise<T | undefined> {
    if (this.#redis?.status !== "ready" || performance.now() < this.#pausedUntil) return undefined;
    try {
      return await work(this.#redis);
    } catch {
      this.#pausedUntil = performance.now() + PAUSE;
      return undefined;
    }
  }

  // Moleculer asks for the rest only where an action's cache has a lock, and none of ours has.

  override async getWithTTL(key: string): Promise<Record<string, unknown>> {
    return { data: await this.get(key), ttl: null };
  }

  override lock(): Promise<never> {
    return Promise.reject(new Error("This cache has no locks."));
  }

  override tryLock(): Promise<never> {
    return this.lock();
  }

  override async close(): Promise<void> {
    this.#redis?.disconnect();
  }
}
