import type { Static } from "typebox";
import { Order, ordersContract } from "../../services/orders/orders.contract.ts";
import { type Payment, paymentsContract } from "../../services/payments/payments.contract.ts";
import type { Client } from "./client.ts";
import { Cancelled, CliError, messageOf, NoAnswer, ShopRefused } from "./errors.ts";
import { pause } from "./patience.ts";

/** How often a request whose outcome is unknown is sent, always under the same key. */
const TRIES = 4;
/** s between them. */
const WAIT = 1;

/** Answers that leave open whether something was done. */
const UNKNOWN = new Set([
  "ORDER_OUTCOME_UNKNOWN",
  "PAYMENT_OUTCOME_UNKNOWN",
  "IDEMPOTENCY_IN_PROGRESS",
  "SERVICE_UNAVAILABLE",
]);

/** What is asked for under a key, in a customer's name. */
export interface Desk {
  /** @throws CliError as {@link sendOrder} */
  order(key: string, body: OrderRequest, token: string): Promise<Order>;
  pay(key: string, body: PaymentRequest, token: string): Promise<Payment>;
  cancel(orderId: string, reason: string, token: string): Promise<Order>;
}

/** The shop's own doors. */
export function shopDesk(client: Client, signal: AbortSignal): Desk {
  return {
    order: async (key, body, token) => (await sendOrder(client, key, body, signal, token)).order,
    pay: async (key, body, token) => (await sendPayment(client, key, body, signal, token)).payment,
    cancel: (orderId, reason, token) =>
      client.request("POST", `/api/orders/${orderId}/cancel`, Order, { body: { reason }, token }),
  };
}

export interface PaymentRequest {
  order_id: string;
  payment_method: string;
}
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
  body: PaymentRequest,
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
      if (!leavesUnknown(error)) throw error;
      if (tries >= TRIES) throw new CliError(messageOf(error), { next });
      await pause(WAIT, signal);
    }
  }
}

/** Whether a failed request may have done what it asked for, or may yet do it. */
function leavesUnknown(error: unknown): boolean {
  return error instanceof NoAnswer || (error instanceof ShopRefused && UNKNOWN.has(error.code));
}
