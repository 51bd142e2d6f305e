import { Redis } from "ioredis";

/**
 * A connection to Redis that fails fast: a command that can't be sent now is refused now, one that isn't answered in
 * `timeout` ms is given up, and none is ever sent twice (it may have been done: a compare-and-set would then deny its own
 * success). ioredis's own defaults queue and retry for some ten seconds. It connects in the background, for ever.
 */
export function redisOf(url: string, timeout: number): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: timeout,
    connectTimeout: 2_000,
    keepAlive: 10_000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 1_000),
    // A connection that was cut without a word stays open on our side: this is how we come to a new one.
    socketTimeout: 5_000,
  });
  // It reconnects by itself; without a listener each failed try would be printed.
  redis.on("error", () => undefined);
  // A connection that breaks under a command leaves that one's timer behind, which would end the next connection
  // (https://github.com/redis/ioredis/issues/2147, not mended in 5.11).
  redis.on("close", () => {
    clearTimeout(Reflect.get(redis, "socketTimeoutTimer"));
    Reflect.set(redis, "socketTimeoutTimer", undefined);
  });
  return redis;
}
