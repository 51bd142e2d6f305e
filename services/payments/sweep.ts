import { giveBack, giveBackLateCapture } from "./give-back.ts";
import type { PaymentState } from "./payment-store.ts";
import { isCapture } from "./payment-view.ts";
import { deadlineFromNow, type PaymentsParts } from "./payments-parts.ts";
import { sendRefund } from "./refund.ts";
import type { RefundAttempt } from "./refund-store.ts";
import { settle } from "./settle.ts";

/** Payments, and refunds, that are looked at side by side. */
const BATCH = 10;

/**
 * Ends what nobody asks about any more: attempts left processing, captures of cancelled orders, refunds left pending;
 * and looks once more at what ended without a capture. What still can't be ended is taken up by a later sweep.
 * @param stop ends it between two batches: with the provider away, many of them would hold a node's stop up for minutes
 */
export async function sweep(parts: PaymentsParts, stop?: AbortSignal): Promise<void> {
  while (!stop?.aborted) {
    const payments = await parts.payments.takeDue(BATCH);
    const refunds = await parts.refunds.takeDue(BATCH);
    if (payments.length + refunds.length === 0) return;
    await Promise.all([
      ...payments.map((payment) =>
        attempt(parts, { payment: payment.id }, () => checkPayment(parts, payment)),
      ),
      ...refunds.map((due) => attempt(parts, { refund: due.refund.id }, () => checkRefund(parts, due))),
    ]);
  }
}

async function attempt(parts: PaymentsParts, what: object, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    parts.logger.warn("Could not be ended yet", {
      ...what,
      error: error instanceof Error ? error.name : "unknown",
    });
  }
}

async function checkPayment(parts: PaymentsParts, payment: PaymentState): Promise<void> {
  // One look: others are due too.
  const ended = await settle(parts, payment, performance.now() + parts.timeout);
  if (!isCapture(ended)) await giveBackLateCapture(parts, ended, deadlineFromNow());
  else if (ended.cancelled) await giveBack(parts, ended, deadlineFromNow());
  await parts.payments.leave(ended.id);
}

async function checkRefund(parts: PaymentsParts, due: RefundAttempt): Promise<void> {
  const payment = await parts.payments.get(due.refund.payment_id);
  await sendRefund(parts, payment, due, deadlineFromNow());
}
