import type { Logger } from "moleculer";
import { PaymentOutcomeUnknown } from "../../lib/errors.ts";
import type { Counting } from "../../lib/metrics.ts";
import type { PaymentStore } from "./payment-store.ts";
import type { Providers } from "./providers/registry.ts";
import type { RefundStore } from "./refund-store.ts";

/** What the functions of this domain work with. */
export interface PaymentsParts {
  readonly payments: PaymentStore;
  readonly refunds: RefundStore;
  readonly providers: Providers;
  /** ms that a provider is given for one request. */
  readonly timeout: number;
  readonly logger: Logger;
  readonly metrics: Counting;
}

/** ms that one action works on an outcome: a little less than its callers wait for it. */
const BUDGET = 11_000;

/** When to give up what begins now, as `performance.now()` counts: a clock that is set meanwhile changes nothing. */
export function deadlineFromNow(): number {
  return performance.now() + BUDGET;
}

/**
 * Asks a provider, and waits for its answer no longer than its timeout and the deadline allow, even if it should not
 * heed the signal.
 * @throws whatever it throws, or the timeout: either way it is not known whether the request took effect
 */
export async function ask<T>(
  { timeout }: PaymentsParts,
  deadline: number,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  const giveUp = () => {
    controller.abort();
    reject(new PaymentOutcomeUnknown({}));
  };
  const timer = setTimeout(giveUp, Math.max(1, Math.min(timeout, deadline - performance.now())));
  try {
    return await Promise.race([request(controller.signal), givenUp]);
  } finally {
    clearTimeout(timer);
  }
}
