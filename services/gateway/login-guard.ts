import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { RateLimiterAbstract, RateLimiterRes } from "rate-limiter-flexible";
import { RateLimited } from "../../lib/errors.ts";

export function rateLimited({ msBeforeNext }: RateLimiterRes): RateLimited {
  return new RateLimited({ retry_after: Math.max(1, Math.ceil(msBeforeNext / 1000)) });
}

/**
 * Stops guessing of one account's password from one address. Only failures count, and a success forgets them. Attempts
 * under way count as failures until they have ended, so that a burst of guesses gets no further than a row of them.
 */
export class LoginGuard {
  readonly #limiter: RateLimiterAbstract | undefined;
  readonly #underWay = new Map<string, { count: number; waiting: (() => void)[] }>();

  constructor(limiter: RateLimiterAbstract | undefined) {
    this.#limiter = limiter;
  }

  /**
   * Lets one attempt in, if need be after others of the same key have ended; `res` tells how it ended.
   * @throws RateLimited after too many failures, and for who hung up before it was their turn
   */
  async admit(email: string, ip: string, res: ServerResponse): Promise<void> {
    const limiter = this.#limiter;
    if (!limiter) return;
    const key = keyOf(email, ip);
    for (;;) {
      const failed = await get(limiter, key);
      if (failed && failed.consumedPoints >= limiter.points) throw rateLimited(failed);
      // Nobody would tell of its end, and its place would never be free again.
      if (res.closed) throw new RateLimited({ retry_after: 1 });
      const others = this.#underWay.get(key) ?? { count: 0, waiting: [] };
      if ((failed?.consumedPoints ?? 0) + others.count < limiter.points) {
        this.#underWay.set(key, { ...others, count: others.count + 1 });
        break;
      }
      await new Promise<void>((resolve) => others.waiting.push(resolve));
    }
    res.once("close", () => void this.#leave(limiter, key, res));
  }

  async #leave(limiter: RateLimiterAbstract, key: string, res: ServerResponse): Promise<void> {
    // Who hung up before the answer learnt nothing from it.
    const status = res.headersSent ? res.statusCode : 0;
    try {
      if (status === 401) await limiter.penalty(key);
      else if (status === 200) await limiter.delete(key);
    } catch {
      // The store is away: see RateLimits.consume.
    }
    const others = this.#underWay.get(key);
    if (!others) return;
    if (others.count === 1) this.#underWay.delete(key);
    else this.#underWay.set(key, { count: others.count - 1, waiting: [] });
    for (const wake of others.waiting) wake();
  }
}

async function get(limiter: RateLimiterAbstract, key: string): Promise<RateLimiterRes | null> {
  try {
    return await limiter.get(key);
  } catch {
    return null;
  }
}

/** No email stands in the store, which may be another machine's. */
function keyOf(email: string, ip: string): string {
  return `${createHash("sha256").update(email.trim().toLowerCase()).digest("base64url")}:${ip}`;
}
