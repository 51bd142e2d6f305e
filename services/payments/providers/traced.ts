import { ATTRIBUTES } from "../../../lib/tracing/names.ts";
import { traced, tracingOf } from "../../../lib/tracing/tracing.ts";
import type { PaymentProvider } from "./provider.ts";

/** The provider, each of its requests a span of its own where the shop is traced. */
export function tracedProvider(provider: PaymentProvider): PaymentProvider {
  if (!tracingOf()) return provider;
  const { name, settlesWithin } = provider;
  const request = <T>(operation: string, work: () => Promise<T>): Promise<T> =>
    traced(
      { name: `${operation} ${name}`, kind: "client", attributes: { [ATTRIBUTES.peerService]: name } },
      work,
    );
  return {
    name,
    settlesWithin,
    charge: (charge, signal) => request("charge", () => provider.charge(charge, signal)),
    lookupCharge: (key, signal) => request("look up charge", () => provider.lookupCharge(key, signal)),
    refund: (refund, signal) => request("refund", () => provider.refund(refund, signal)),
    lookupRefund: (key, signal) => request("look up refund", () => provider.lookupRefund(key, signal)),
    readWebhook: (body, headers) => provider.readWebhook(body, headers),
  };
}
