import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import type { RateClass } from "../../lib/contract.ts";
import { LoginGuard, rateLimited } from "./login-guard.ts";
import type { RestRoute } from "./routes.ts";

/** Requests a minute of one client, by class of route. */
export const PER_MINUTE: ReadonlyMap<RateClass, number> = new Map([
  ["read", 6000],
  ["write", 1200],
  ["checkout", 300],
  ["auth", 300],
]);
/** Failed logins of one account from one address. */
export const FAILED_LOGINS = { points: 10, seconds: 300 };

/** Where a limit is counted: the one place to change when the nodes share a Redis. */
function limiterOf(name: string, points: number, seconds: number): RateLimiterAbstract {
  return new RateLimiterMemory({ keyPrefix: `limit:${name}`, points, duration: seconds });
}

export function rateClassOf({ method, spec }: RestRoute): RateClass {
  return spec.rateClass ?? (method === "GET" ? "read" : "write");
}

/** Public classes that no token is looked at for. */
const ANONYMOUS = new Set<RateClass>(["auth", "none"]);

/**
 * Whether a route is for nobody in particular: probes, webhooks, and those who come for a token (an expired one must
 * not keep anyone from a refresh).
 */
export function isAnonymous(route: RestRoute): boolean {
  return route.spec.permissions.includes("public") && ANONYMOUS.has(rateClassOf(route));
}

/** How often one client may call. */
export class RateLimits {
  readonly #limiters: ReadonlyMap<RateClass, RateLimiterAbstract>;
  readonly logins: LoginGuard;

  /** @param factor multiplies every limit; 0: no limits */
  constructor(factor: number) {
    const scaled = (points: number) => Math.max(1, Math.round(points * factor));
    const classes = factor === 0 ? [] : [...PER_MINUTE];
    this.#limiters = new Map(classes.map(([name, points]) => [name, limiterOf(name, scaled(points), 60)]));
    const { points, seconds } = FAILED_LOGINS;
    this.logins = new LoginGuard(factor === 0 ? undefined : limiterOf("login", scaled(points), seconds));
  }

  /**
   * Counts one request of `client` (`user:<id>` or `ip:<address>`).
   * @throws RateLimited with the seconds until the next one may come
   */
  async consume(rateClass: RateClass, client: string): Promise<void> {
    const limiter = this.#limiters.get(rateClass);
    if (!limiter) return;
    try {
      await limiter.consume(client);
    } catch (refused) {
      // Anything else is the store's failure: a shop without its limits is better than none.
      if (refused instanceof RateLimiterRes) throw rateLimited(refused);
    }
  }
}
