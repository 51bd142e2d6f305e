import { ordersContract } from "../../services/orders/orders.contract.ts";
import { paymentsContract } from "../../services/payments/payments.contract.ts";
import type { Desk, OrderRequest, PaymentRequest } from "../lib/checkout.ts";
import type { Client } from "../lib/client.ts";
import { Cancelled, ShopRefused } from "../lib/errors.ts";
import { waited } from "../lib/patience.ts";

export type Outcome = "acknowledged" | "refused" | "unknown";

/** An order that a client was told of, and the last that was said of it. */
export interface KnownOrder {
  id: string;
  token: string;
  told: "placed" | "paid" | "cancelled";
  /** Something more was asked for, and its outcome wasn't told: to pay it, or to cancel it. */
  mayBe: Set<"paid" | "cancelled">;
  /** ms since 1970, when the last thing was asked for that ends it. */
  asked: number;
}

type Request = { kind: "order"; body: OrderRequest } | { kind: "payment"; body: PaymentRequest };
type Unknown = Request & { key: string; token: string };

export type Outcomes = Record<Outcome, number>;

/** s between two tries to learn what became of a request. */
const AGAIN = 0.5;

/** Whether the shop said that it did not and will not do it. Of anything else the client knows nothing. */
function isDefinite(error: unknown): boolean {
  return (
    error instanceof ShopRefused &&
    error.status < 500 &&
    error.status !== 429 &&
    error.code !== "IDEMPOTENCY_IN_PROGRESS"
  );
}

/** What the clients asked for and were told: kept by them, so that the shop can be held to it. */
export class Ledger {
  readonly orders = new Map<string, KnownOrder>();
  readonly outcomes: { orders: Outcomes; payments: Outcomes; cancellations: Outcomes } = {
    orders: { acknowledged: 0, refused: 0, unknown: 0 },
    payments: { acknowledged: 0, refused: 0, unknown: 0 },
    cancellations: { acknowledged: 0, refused: 0, unknown: 0 },
  };
  #unknown: Unknown[] = [];

  /** A desk that writes down what is asked for at another, and what comes of it. */
  desk(inner: Desk): Desk {
    return {
      order: async (key, body, token) => {
        const asked = Date.now();
        return await this.#record(
          "orders",
          () => inner.order(key, body, token),
          (order) => this.#ordered(order.id, body, token, asked),
          () => this.#unknown.push({ kind: "order", key, token, body }),
        );
      },
      pay: async (key, body, token) => {
        const asked = Date.now();
        return await this.#record(
          "payments",
          () => inner.pay(key, body, token),
          () => this.#paid(body.order_id, asked),
          () => {
            this.orders.get(body.order_id)?.mayBe.add("paid");
            this.#unknown.push({ kind: "payment", key, token, body });
          },
        );
      },
      cancel: async (id, reason, token) => {
        const order = this.orders.get(id);
        const asked = Date.now();
        return await this.#record(
          "cancellations",
          () => inner.cancel(id, reason, token),
          () => {
            if (order) Object.assign(order, { told: "cancelled", asked });
          },
          () => order?.mayBe.add("cancelled"),
        );
      },
    };
  }

  async #record<T>(
    what: keyof Ledger["outcomes"],
    request: () => Promise<T>,
    acknowledged: (answer: T) => void,
    unknown: () => void,
  ): Promise<T> {
    const count = this.outcomes[what];
    try {
      const answer = await request();
      count.acknowledged++;
      acknowledged(answer);
      return answer;
    } catch (error) {
      if (isDefinite(error)) count.refused++;
      else {
        count.unknown++;
        unknown();
      }
      throw error;
    }
  }

  #ordered(id: string, body: OrderRequest, token: string, asked: number): void {
    const told = body.payment_method === undefined ? "placed" : "paid";
    this.orders.set(id, { id, token, told, mayBe: new Set(), asked });
  }

  #paid(id: string, asked: number): void {
    const order = this.orders.get(id);
    if (order) Object.assign(order, { told: "paid", asked });
  }

  /**
   * Asks for everything whose outcome is unknown again, under its key, until that is told: what was never done is done now.
   * @param until ms since 1970, when it gives up
   * @returns how often it was told what, and how many stay unknown
   */
  async resolve(client: Client, until: number, signal: AbortSignal): Promise<Outcomes> {
    const found: Outcomes = { acknowledged: 0, refused: 0, unknown: 0 };
    for (const one of this.#unknown) found[await this.#resolve(one, client, until, signal)]++;
    this.#unknown = [];
    return found;
  }

  async #resolve(one: Unknown, client: Client, until: number, signal: AbortSignal): Promise<Outcome> {
    const headers = { "idempotency-key": one.key };
    const { token } = one;
    do {
      try {
        if (one.kind === "order") {
          const { result } = ordersContract.actions.checkout;
          const { body } = one;
          const { order } = await client.request("POST", "/api/orders", result, { body, headers, token });
          // What had never come to the shop is new now, and its time counts from here.
          this.#ordered(order.id, body, token, Date.parse(order.created_at));
        } else {
          const { result } = paymentsContract.actions.process;
          const { body } = one;
          const options = { body, headers, token };
          const { payment } = await client.request("POST", "/api/payments/process", result, options);
          this.#paid(body.order_id, Date.parse(payment.created_at));
        }
        return "acknowledged";
      } catch (error) {
        if (error instanceof Cancelled) throw error;
        if (isDefinite(error)) return "refused";
      }
    } while (Date.now() < until && (await waited(AGAIN, signal)));
    return "unknown";
  }
}
