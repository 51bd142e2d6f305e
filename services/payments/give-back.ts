import { isFailure, PaymentOutcomeUnknown, RefundRefused } from "../../lib/errors.ts";
import type { PaymentState } from "./payment-store.ts";
import { isCapture, paymentView } from "./payment-view.ts";
import type { Payment } from "./payments.contract.ts";
import { ask, deadlineFromNow, type PaymentsParts } from "./payments-parts.ts";
import { sendRefund } from "./refund.ts";
import { settle } from "./settle.ts";

/**
 * Undo of charge: from its first line on no attempt of the order can begin, and what one has captured or still
 * captures goes back.
 * @returns the total given back in integer minor units, and the payment it is of
 * @throws PaymentOutcomeUnknown, PaymentProviderUnavailable: ask again; RefundRefused
 */
export async function cancelOrder(
  parts: PaymentsParts,
  orderId: string,
  reason: string,
): Promise<{ refunded: number; payment: Payment | null }> {
  const deadline = deadlineFromNow();
  await parts.payments.cancelOrder(orderId, reason);
  const live = await parts.payments.liveOf(orderId);
  if (!live) return { refunded: 0, payment: null };
  const payment = await giveBack(parts, await settle(parts, live, deadline), deadline);
  return { refunded: payment.refunded, payment: paymentView(payment) };
}

/** Gives back all that is left of a cancelled order's payment. @returns the payment as it is then */
export async function giveBack(
  parts: PaymentsParts,
  payment: PaymentState,
  deadline: number,
): Promise<PaymentState> {
  if (!isCapture(payment)) return payment;
  // First what was promised before: if that should fail, it is part of the rest.
  for (const pending of await parts.refunds.resumePending(payment.id)) {
    await sendRefund(parts, payment, pending, deadline).catch((error: unknown) => {
      if (!isFailure(error, RefundRefused)) throw error;
    });
  }
  const before = await parts.payments.get(payment.id);
  if (before.refunded < before.amount) {
    const rest = await parts.refunds.begin({
      paymentId: payment.id,
      key: `${payment.order_id}:cancel`,
      amount: undefined,
      reason: (await parts.payments.cancellationOf(payment.order_id)) ?? "order_cancelled",
      requestedBy: null,
    });
    await sendRefund(parts, payment, rest, deadline);
  }
  const after = await parts.payments.get(payment.id);
  if (after.refunded < after.amount) throw new PaymentOutcomeUnknown({});
  return after;
}

/** Gives back what an attempt captured that had ended without a capture; it stays what it was, its net is zero. */
export async function giveBackLateCapture(
  parts: PaymentsParts,
  payment: PaymentState,
  deadline: number,
): Promise<void> {
  const provider = parts.providers.get(payment.provider);
  const found = await ask(parts, deadline, (signal) => provider.lookupCharge(payment.key, signal));
  if (found?.kind !== "captured") return;
  const { amount, currency } = payment;
  const result = await ask(parts, deadline, (signal) =>
    provider.refund({ key: lateRefundKey(payment.key), chargeRef: found.ref, amount, currency }, signal),
  );
  if (result.kind !== "refunded") throw new PaymentOutcomeUnknown({});
}

function lateRefundKey(chargeKey: string): string {
  return `${chargeKey}:late`;
}
