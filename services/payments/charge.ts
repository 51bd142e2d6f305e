import { setTimeout as delay } from "node:timers/promises";
import { crashPoint } from "../../lib/crash.ts";
import { newId } from "../../lib/ids.ts";
import { giveBack } from "./give-back.ts";
import type { PaymentState } from "./payment-store.ts";
import { isCapture } from "./payment-view.ts";
import type { ChargeResult } from "./payments.contract.ts";
import { ask, deadlineFromNow, type PaymentsParts } from "./payments-parts.ts";
import type { FinalCharge, Unavailable } from "./providers/provider.ts";
import { conclude, settle, UNAVAILABLE } from "./settle.ts";

/**
 * Never charges twice. The invariant: **of all attempts of an order, at most one is under way or has captured.**
 *
 * - The database enforces it: the unique index `payments_one_capture`. An attempt's row is committed before anything is
 *   sent, so nothing is ever charged that has no row.
 * - An attempt is one key at the provider, which charges a key at most once, however often it is asked.
 * - An attempt leaves the index only when it is certain that it captured nothing and never will: the provider declined
 *   it, or could not be reached by its only open request, or doesn't know a request that has settled (see settle.ts).
 *   A timeout is none of these.
 * - Only one request of an attempt is open at a time: `nextRequest` hands out the right to send the next one.
 */

/** A provider that can't be reached is asked so often again, after so many ms. */
const QUICK_RETRIES = 2;
const RETRY_PAUSE = 100;

export interface ChargeRequest {
  /** orderId:charge:attempt */
  key: string;
  order_id: string;
  user_id: string;
  /** Integer minor units. */
  amount: number;
  currency: string;
  payment_method: string;
}

/**
 * Charges an order. Asked again under the same key, on any node, it gives the same answer.
 * @throws PaymentOutcomeUnknown: ask again
 */
export async function charge(parts: PaymentsParts, request: ChargeRequest): Promise<ChargeResult> {
  const deadline = deadlineFromNow();
  const provider = parts.providers.active.name;
  const { payment_method, ...asked } = request;
  const send = (payment: PaymentState) => sendCharge(parts, payment, payment_method, deadline);
  const sendAgain = async (payment: PaymentState) => {
    const next = await parts.payments.nextRequest(payment);
    return next ? await send(next) : await parts.payments.get(payment.id);
  };

  for (;;) {
    const opened = await parts.payments.open({ id: newId(), ...asked, provider });
    if (opened) {
      return await answerOf(parts, await settle(parts, await send(opened), deadline, sendAgain), deadline);
    }
    const own = await parts.payments.byKey(request.key);
    if ((await parts.payments.cancellationOf(request.order_id)) !== undefined) {
      return { outcome: "voided", payment_id: own?.id ?? null, provider, reason: "order_cancelled" };
    }
    if (own) {
      assertSame(own, request);
      return await answerOf(parts, await settle(parts, own, deadline, sendAgain), deadline);
    }
    const other = await parts.payments.liveOf(request.order_id);
    if (other) {
      const ended = await settle(parts, other, deadline);
      if (isCapture(ended)) return await answerOf(parts, ended, deadline);
    }
    // Whatever stood in the way has ended without a capture.
  }
}

/**
 * Sends the charge, as the one who may. @returns the attempt's end, or the attempt still processing if there was no
 * answer
 */
async function sendCharge(
  parts: PaymentsParts,
  payment: PaymentState,
  paymentMethod: string,
  deadline: number,
): Promise<PaymentState> {
  const provider = parts.providers.get(payment.provider);
  const count = (outcome: (FinalCharge | Unavailable)["kind"] | "unknown") =>
    parts.metrics.count("molecart_payments_total", { provider: provider.name, outcome });
  let current = payment;
  for (let retries = 0; ; retries++) {
    await crashPoint("payments.charge.before");
    let result: FinalCharge | Unavailable;
    try {
      const { key, order_id: orderId, amount, currency } = current;
      result = await ask(parts, deadline, (signal) =>
        provider.charge({ key, orderId, amount, currency, paymentMethod }, signal),
      );
    } catch (error) {
      count("unknown");
      parts.logger.warn("The outcome of a charge is unknown", {
        payment: payment.id,
        error: error instanceof Error ? error.name : "unknown",
      });
      return current;
    }
    await crashPoint("payments.charge.after");
    count(result.kind);
    if (result.kind !== "unavailable") return await conclude(parts, current, result);

    if (retries < QUICK_RETRIES) await delay(RETRY_PAUSE);
    const next = retries < QUICK_RETRIES ? await parts.payments.nextRequest(current) : undefined;
    // Our last request is answered, and if somebody has sent another since, this changes nothing.
    if (!next) return await parts.payments.end(current, UNAVAILABLE);
    current = next;
  }
}

/** What the order's saga is told of an attempt that has ended. */
async function answerOf(
  parts: PaymentsParts,
  payment: PaymentState,
  deadline: number,
): Promise<ChargeResult> {
  const { id: payment_id, provider, failure_code: reason } = payment;
  if (payment.cancelled) {
    await giveBack(parts, payment, deadline);
    return { outcome: "voided", payment_id, provider, reason: "order_cancelled" };
  }
  switch (payment.status) {
    case "captured":
    case "partially_refunded":
    case "refunded":
      return { outcome: "captured", payment_id, provider, reason: null };
    case "declined":
      return { outcome: "declined", payment_id, provider, reason };
    case "failed": {
      const outcome = reason === "invalid_method" ? "invalid_method" : "unavailable";
      return { outcome, payment_id, provider, reason };
    }
    case "voided":
      return { outcome: "voided", payment_id, provider, reason: "order_cancelled" };
    case "processing":
      throw new Error(`Payment ${payment_id} has not ended`);
  }
}

/** A key is made of its order: the same one with another sum is a bug, and money must not be guessed at. */
function assertSame(payment: PaymentState, { key, order_id, amount, currency }: ChargeRequest): void {
  if (payment.order_id === order_id && payment.amount === amount && payment.currency === currency) return;
  throw new Error(`The charge ${key} was asked for before, of another order or amount`);
}
