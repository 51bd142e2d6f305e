import type { Static } from "typebox";
import { ordersContract } from "../../services/orders/orders.contract.ts";
import { paymentsContract } from "../../services/payments/payments.contract.ts";
import type { Client } from "./client.ts";
import { Cancelled, CliError, ShopRefused, ShopUnreachable } from "./errors.ts";
import { pause } from "./patience.ts";

/** How often a request whose outcome is unknown is sent, always under the same key. */
const TRIES = 4;
/** s between them. */
const WAIT = 1;

const UNKNOWN = new Set([
  "ORDER_OUTCOME_UNKNOWN",
  "PAYMENT_OUTCOME_UNKNOWN",
  "IDEMPOTENCY_IN_PROGRESS",
  "SERVICE_UNAVAILABLE",
]);

export type OrderRequest = Static<typeof ordersContract.actions.checkout.params>;

/** Places an order, once for each key. @param token a customer's, in place of the client's own */
export async function sendOrder(
  client: Client,
  key: string,
  body: OrderRequest,
  signal: AbortSignal,
  token?: string,
) {
  const { result } = ordersContract.actions.checkout;
  const headers = { "idempotency-key": key };
  return await untilKnown(key, signal, () =>
    client.request("POST", "/api/orders", result, { body, headers, token }),
  );
}

/** Pays an order, once for each key. */
export async function sendPayment(
  client: Client,
  key: string,
  body: { order_id: string; payment_method: string },
  signal: AbortSignal,
  token?: string,
) {
  const { result } = paymentsContract.actions.process;
  const headers = { "idempotency-key": key };
  return await untilKnown(key, signal, () =>
    client.request("POST", "/api/payments/process", result, { body, headers, token }),
  );
}

/**
 * Asks until the outcome is known: an answer that was lost on its way is given again under its key.
 * @throws CliError that tells the key, if it stays unknown
 */
export async function untilKnown<T>(key: string, signal: AbortSignal, request: () => Promise<T>): Promise<T> {
  const next = `It is safe to ask again with --key ${key}: nothing is ordered, paid or refunded twice.`;
  for (let tries = 1; ; tries++) {
    try {
      return await request();
    } catch (error) {
      if (error instanceof Cancelled) throw new Cancelled(error.message, next);
      const unknown =
        error instanceof ShopUnreachable || (error instanceof ShopRefused && UNKNOWN.has(error.code));
      if (!unknown) throw error;
      if (tries >= TRIES) throw new CliError(error.message, { next });
      await pause(WAIT, signal);
    }
  }
}
