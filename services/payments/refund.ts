import { crashPoint } from "../../lib/crash.ts";
import { PaymentOutcomeUnknown, PaymentProviderUnavailable, RefundRefused } from "../../lib/errors.ts";
import type { PaymentRow, RefundRow } from "./payments.model.ts";
import { ask, deadlineFromNow, type PaymentsParts } from "./payments-parts.ts";
import type { FinalRefund, Unavailable } from "./providers/provider.ts";
import type { RefundAttempt, Refunded, RefundWish } from "./refund-store.ts";

/**
 * Never gives back more than was captured: the sum is set aside on the payment's row before anything is sent. From then
 * on the refund is a promise. Its outcome unknown, it is sent again under its key, by a retry or by the sweep, until the
 * provider has answered.
 */

/**
 * Gives back part or all of a payment. Asked again under the same key, it gives the same answer.
 * @throws NotRefundable, RefundTooLarge, RefundRefused, PaymentProviderUnavailable (nothing was given back),
 *   PaymentOutcomeUnknown (it will be, or ask again)
 */
export async function refundPayment(
  parts: PaymentsParts,
  payment: PaymentRow,
  wish: Omit<RefundWish, "paymentId">,
): Promise<Refunded> {
  const attempt = await parts.refunds.begin({ ...wish, paymentId: payment.id });
  return await sendRefund(parts, payment, attempt, deadlineFromNow());
}

/** Sends a pending refund, as one who raised its number of requests. @throws as {@link refundPayment} */
export async function sendRefund(
  parts: PaymentsParts,
  payment: PaymentRow,
  { refund, isFirst }: RefundAttempt,
  deadline: number,
): Promise<Refunded> {
  if (refund.status === "succeeded") return await succeeded(parts, refund);
  const result = await requestRefund(parts, payment, refund, deadline);
  await crashPoint("payments.refund.after");
  switch (result?.kind) {
    case "refunded":
      return await parts.refunds.succeed(refund, result.ref);
    case "refused":
      return await refused(parts, payment, refund, result.reason, deadline);
    case "unavailable":
      // Certain only of the first request: an earlier one without an answer may still succeed.
      if (!isFirst) throw new PaymentOutcomeUnknown({});
      return await endedWith(parts, refund, new PaymentProviderUnavailable({ retry_after: 10 }));
    case undefined:
      throw new PaymentOutcomeUnknown({});
  }
}

/** @throws failure, unless another request of this refund has done, or may still do, what this one was denied */
async function endedWith(parts: PaymentsParts, refund: RefundRow, failure: Error): Promise<Refunded> {
  const now = await parts.refunds.fail(refund);
  if (now.status === "succeeded") return await succeeded(parts, now);
  throw now.status === "failed" ? failure : new PaymentOutcomeUnknown({});
}

/**
 * It may be refused because one that was taken for failed gave back after all: that is noted, and the caller asks again.
 * @throws RefundRefused, PaymentOutcomeUnknown
 */
async function refused(
  parts: PaymentsParts,
  payment: PaymentRow,
  refund: RefundRow,
  reason: string,
  deadline: number,
): Promise<Refunded> {
  try {
    return await endedWith(parts, refund, new RefundRefused({ reason }));
  } catch (failure) {
    for (const failed of await parts.refunds.failedOf(payment.id)) {
      const found = await lookUpRefund(parts, payment, failed.key, deadline);
      if (found?.kind !== "refunded") continue;
      await parts.refunds.succeed(failed, found.ref);
      throw new PaymentOutcomeUnknown({});
    }
    throw failure;
  }
}

async function succeeded(parts: PaymentsParts, refund: RefundRow): Promise<Refunded> {
  return { refund, payment: await parts.payments.get(refund.payment_id) };
}

/** @returns undefined if the provider says neither that it did it nor that it didn't */
async function requestRefund(
  parts: PaymentsParts,
  payment: PaymentRow,
  { key, amount }: RefundRow,
  deadline: number,
): Promise<FinalRefund | Unavailable | undefined> {
  const provider = parts.providers.get(payment.provider);
  const { provider_ref: chargeRef, currency } = payment;
  if (chargeRef === null) throw new Error(`Payment ${payment.id} has nothing to refund`);
  const answer = await ask(parts, deadline, (signal) =>
    provider.refund({ key, chargeRef, amount, currency }, signal),
  ).catch((error: unknown) => isUnknown(parts, payment, error));
  return answer ?? (await lookUpRefund(parts, payment, key, deadline));
}

async function lookUpRefund(
  parts: PaymentsParts,
  payment: PaymentRow,
  key: string,
  deadline: number,
): Promise<FinalRefund | undefined> {
  const provider = parts.providers.get(payment.provider);
  return await ask(parts, deadline, (signal) => provider.lookupRefund(key, signal)).catch((error: unknown) =>
    isUnknown(parts, payment, error),
  );
}

function isUnknown(parts: PaymentsParts, payment: PaymentRow, error: unknown): undefined {
  parts.logger.warn("The outcome of a refund is unknown", {
    payment: payment.id,
    error: error instanceof Error ? error.name : "unknown",
  });
}
