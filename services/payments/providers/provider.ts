/**
 * What the shop asks of a payment provider. All that "never charges twice" rests on stands here, and an adapter must
 * keep it:
 *
 * - Requests under one key take effect once. Every final answer under a key is the same one.
 * - An expected outcome is returned. An adapter throws only when it doesn't know whether the request took effect.
 * - `unavailable` says that *this* request did nothing and never will; it says nothing of an earlier one under the key.
 * - A request takes effect within `settlesWithin` after its caller gave up on it, or never; from then on a look-up
 *   knows it.
 */
export interface PaymentProvider {
  /** As it stands in `payments.provider` and in the webhook's address. */
  readonly name: string;
  /** ms, see above. */
  readonly settlesWithin: number;

  /** Authorizes and captures. */
  charge(request: ChargeRequest, signal: AbortSignal): Promise<FinalCharge | Unavailable>;
  /** How the charge under this key ended; undefined if the provider knows none (yet). */
  lookupCharge(key: string, signal: AbortSignal): Promise<FinalCharge | undefined>;
  refund(request: RefundRequest, signal: AbortSignal): Promise<FinalRefund | Unavailable>;
  lookupRefund(key: string, signal: AbortSignal): Promise<FinalRefund | undefined>;

  /**
   * Checks a webhook's signature on the body as it came, then reads it.
   * @param headers with names in lower case
   * @throws InvalidSignature if it is forged, absent or old; MalformedRequest if it is signed and makes no sense
   */
  readWebhook(rawBody: string, headers: Readonly<Record<string, string>>): ProviderEvent;
}

export interface ChargeRequest {
  key: string;
  /** For the provider's own records. */
  orderId: string;
  /** Integer minor units. */
  amount: number;
  currency: string;
  /** The provider's token of a card; never card data, never written down. */
  paymentMethod: string;
}

/** How a charge ended, for ever. */
export type FinalCharge =
  | { kind: "captured"; ref: string }
  | { kind: "declined"; reason: string }
  | { kind: "invalid_method" };

export interface RefundRequest {
  key: string;
  /** Of the capture. */
  chargeRef: string;
  /** Integer minor units. */
  amount: number;
  currency: string;
}

/** `refunded` is for ever; `refused` says that nothing was given back. */
export type FinalRefund = { kind: "refunded"; ref: string } | { kind: "refused"; reason: string };

export interface Unavailable {
  kind: "unavailable";
}

/** What a webhook tells: only that something is worth looking up. What it claims beyond that is not believed. */
export interface ProviderEvent {
  id: string;
  about: "charge" | "refund";
  /** The idempotency key of the charge or refund. */
  key: string;
}
