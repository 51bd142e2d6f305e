import { NotFound, PaymentProviderUnavailable } from "../../lib/errors.ts";
import { ask, deadlineFromNow, type PaymentsParts } from "./payments-parts.ts";
import { conclude, lookUp } from "./settle.ts";

/**
 * Handles a provider's webhook: a hint to look something up. It is remembered only after it was handled, and handling
 * it again changes nothing, so a crash in between loses nothing.
 * @param headers with names in lower case
 * @throws NotFound for a provider this shop isn't configured for; InvalidSignature, MalformedRequest;
 *   PaymentProviderUnavailable: send it again
 */
export async function receiveWebhook(
  parts: PaymentsParts,
  providerName: string,
  rawBody: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const provider = parts.providers.find(providerName);
  if (!provider) throw new NotFound({ what: "payment provider", id: providerName });
  const event = provider.readWebhook(rawBody, headers);
  if (await parts.payments.isEventKnown(provider.name, event.id)) return;
  if (event.about === "charge") await lookAtCharge(parts, event.key);
  else await lookAtRefund(parts, event.key);
  await parts.payments.rememberEvent(provider.name, event.id);
}

async function lookAtCharge(parts: PaymentsParts, key: string): Promise<void> {
  const payment = await parts.payments.byKey(key);
  if (!payment) return;
  const found = await lookUp(parts, payment, deadlineFromNow());
  if (found.kind === "silence") throw new PaymentProviderUnavailable({ retry_after: 10 });
  if (found.kind !== "none") await conclude(parts, payment, found);
}

async function lookAtRefund(parts: PaymentsParts, key: string): Promise<void> {
  const refund = await parts.refunds.byKey(key);
  if (!refund || refund.status === "succeeded") return;
  const payment = await parts.payments.get(refund.payment_id);
  const provider = parts.providers.get(payment.provider);
  const found = await ask(parts, deadlineFromNow(), (signal) => provider.lookupRefund(key, signal)).catch(
    () => {
      throw new PaymentProviderUnavailable({ retry_after: 10 });
    },
  );
  if (found?.kind === "refunded") await parts.refunds.succeed(refund, found.ref);
}
