import { setTimeout as delay } from "node:timers/promises";
import { PaymentOutcomeUnknown } from "../../lib/errors.ts";
import type { Ending, PaymentState } from "./payment-store.ts";
import { isCapture } from "./payment-view.ts";
import { ask, type PaymentsParts } from "./payments-parts.ts";
import type { FinalCharge } from "./providers/provider.ts";

/** ms between looks at an outcome that isn't known yet. */
const LOOK_EVERY = 100;

/** What a look-up brings: the charge's end, or that the provider knows none (yet), or no answer. */
type Found = FinalCharge | { kind: "none" } | { kind: "silence" };

/**
 * Brings an attempt whose outcome is open to its end, by asking the provider what became of its key. Any number of
 * nodes may do so at once.
 *
 * A request that the provider doesn't know may still be on its way. Only when it has settled is it certain that it was
 * never made; then the charge is sent again, or the attempt ends without a capture.
 *
 * @param sendAgain undefined: nobody wants the charge any more
 * @throws PaymentOutcomeUnknown if it is still open at the deadline
 */
export async function settle(
  parts: PaymentsParts,
  payment: PaymentState,
  deadline: number,
  sendAgain?: (payment: PaymentState) => Promise<PaymentState>,
): Promise<PaymentState> {
  let current = payment;
  while (current.status === "processing") {
    const found = await lookUp(parts, current, deadline);
    if (found.kind === "silence" || (found.kind === "none" && !current.settled)) {
      if (performance.now() + LOOK_EVERY >= deadline) throw new PaymentOutcomeUnknown({});
      await delay(LOOK_EVERY);
      current = await parts.payments.get(current.id);
    } else if (found.kind !== "none") {
      current = await conclude(parts, current, found);
    } else if (sendAgain && !current.cancelled) {
      current = await sendAgain(current);
    } else {
      current = await parts.payments.end(current, current.cancelled ? { status: "voided" } : UNAVAILABLE);
    }
  }
  return current;
}

/** Nothing was captured, and nothing under the attempt's key will be. */
export const UNAVAILABLE: Ending = { status: "failed", failure_code: "unavailable" };

export async function lookUp(parts: PaymentsParts, payment: PaymentState, deadline: number): Promise<Found> {
  const provider = parts.providers.get(payment.provider);
  try {
    const found = await ask(parts, deadline, (signal) => provider.lookupCharge(payment.key, signal));
    return found ?? { kind: "none" };
  } catch (error) {
    parts.logger.debug("The payment provider does not answer", {
      payment: payment.id,
      error: error instanceof Error ? error.name : "unknown",
    });
    return { kind: "silence" };
  }
}

/** Writes down what the provider says of a charge. @returns the payment as it is now */
export async function conclude(
  parts: PaymentsParts,
  payment: PaymentState,
  final: FinalCharge,
): Promise<PaymentState> {
  const now = await parts.payments.end(payment, endingOf(final));
  if (final.kind === "captured" && !isCapture(now)) {
    // A process that was frozen past all deadlines woke up and sent its request: the sweep gives the money back.
    parts.logger.error("A charge was captured after its attempt had ended", { payment: payment.id });
    await parts.payments.checkNow(payment.id);
  }
  return now;
}

function endingOf(final: FinalCharge): Ending {
  switch (final.kind) {
    case "captured":
      return { status: "captured", provider_ref: final.ref };
    case "declined":
      return { status: "declined", failure_code: final.reason };
    case "invalid_method":
      return { status: "failed", failure_code: "invalid_method" };
  }
}
