import { setTimeout as delay } from "node:timers/promises";
import type { Context, Middleware, Service } from "moleculer";

/**
 * Lets every request on this node end before the first service stops and takes its store along. (Moleculer's own
 * `tracking` waits for each service by itself: a checkout may still be on its way to one whose pool is closed by then.)
 * By now the other nodes send nothing more here.
 * @param timeout ms after which what still runs is given up
 */
export function drainMiddleware(timeout: number): Middleware {
  let running = 0;
  let idle: (() => void) | undefined;
  const track = async <T>(work: () => Promise<T>): Promise<T> => {
    running++;
    try {
      return await work();
    } finally {
      running--;
      if (running === 0) idle?.();
    }
  };
  return {
    name: "Drain",
    localAction(next) {
      return function (this: Service, ctx: Context) {
        return track(() => next.call(this, ctx));
      };
    },
    localEvent(next) {
      return function (this: Service, ctx: Context) {
        return track(async () => await next.call(this, ctx));
      };
    },
    async stopping(broker) {
      if (running === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      idle = resolve;
      const timer = new AbortController();
      const { signal } = timer;
      await Promise.race([promise, delay(timeout, undefined, { signal }).catch(() => undefined)]);
      timer.abort();
      if (running > 0) broker.logger.warn("Stopping with requests under way", { running });
    },
  };
}
