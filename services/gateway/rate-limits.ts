import type { ServiceBroker } from "moleculer";
import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from "rate-limiter-flexible";
import type { RateClass } from "../../lib/contract.ts";
import { configOf } from "../../lib/runtime.ts";
import { redisOf } from "../../lib/stores/redis.ts";
import { shared } from "../../lib/stores/shared.ts";
import { LoginGuard, rateLimited } from "./login-guard.ts";
import type { RestRoute } from "./routes.ts";

/** Requests a minute of one client, by class of route. */
const PER_MINUTE: ReadonlyMap<RateClass, number> = new Map([
  ["read", 6000],
  ["write", 1200],
  ["checkout", 300],
  ["auth", 300],
]);
/** Failed logins of one account from one address. */
const FAILED_LOGINS = { points: 10, seconds: 300 };

/** ms that counting a request may take: a frozen Redis must not hold every one of them up. */
const REDIS_TIMEOUT = 150;

/** What makes limiters: where they count is decided here alone. */
type Limiters = (name: string, points: number, seconds: number) => RateLimiterAbstract;

/** Counts in Redis where `REDIS_URL` is set, for all gateways together; while it is away, and without it, each by itself. */
export function limitersOf(broker: ServiceBroker): Limiters {
  const { REDIS_URL, NAMESPACE } = configOf(broker);
  const inMemory: Limiters = (name, points, seconds) =>
    new RateLimiterMemory({ keyPrefix: `limit:${name}`, points, duration: seconds });
  if (REDIS_URL === "") return inMemory;
  return (name, points, seconds) =>
    new RateLimiterRedis({
      keyPrefix: `${NAMESPACE}:limit:${name}`,
      points,
      duration: seconds,
      storeClient: shared(broker, "limits", () => {
        const store = redisOf(REDIS_URL, REDIS_TIMEOUT);
        return { store, close: async () => store.disconnect() };
      }),
      rejectIfRedisNotReady: true,
      insuranceLimiter: inMemory(name, points, seconds),
    });
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
  constructor(factor: number, limiterOf: Limiters) {
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
