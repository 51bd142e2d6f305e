import { setTimeout as delay } from "node:timers/promises";
import { Cancelled, ShopRefused } from "./errors.ts";

/** s: what a limit of requests a minute can ask for at most, and a little. */
const LONGEST_WAIT = 65;
/** s to wait for where the shop doesn't say. */
const SHORTEST_WAIT = 1;
const TRIES = 20;

/**
 * Runs a request of many: asked to slow down (429), it waits as long as it is told and asks again. Such an answer
 * means that nothing was done.
 * @param waiting is told of each wait, in seconds
 */
export async function patiently<T>(
  request: () => Promise<T>,
  signal: AbortSignal,
  waiting: (seconds: number) => void = () => undefined,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof ShopRefused) || error.status !== 429 || tries >= TRIES) throw error;
      const seconds = Math.min(LONGEST_WAIT, error.retryAfter ?? SHORTEST_WAIT);
      waiting(seconds);
      await pause(seconds, signal);
    }
  }
}

/** @param seconds @throws Cancelled */
export async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await delay(seconds * 1000, undefined, { signal }).catch(() => Promise.reject(new Cancelled()));
}

/** As {@link pause}, where being stopped is no failure. @returns false if it was */
export async function waited(seconds: number, signal: AbortSignal): Promise<boolean> {
  return await delay(seconds * 1000, true, { signal }).catch(() => false);
}
