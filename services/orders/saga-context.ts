import type { Caller } from "../../lib/call.ts";
import type { Config } from "../../lib/config.ts";
import type { Counting } from "../../lib/metrics.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { CheckoutAnswers } from "./checkout-answers.ts";
import type { OrderRecord, OrderStore } from "./order-store.ts";
import { orderView } from "./order-view.ts";
import type { Refusal } from "./saga.ts";
import type { SagaRow } from "./saga-records.ts";
import type { SagaStore } from "./saga-store.ts";

/** What the order service's domain works with. */
export interface OrdersParts {
  db: Database;
  orders: OrderStore;
  sagas: SagaStore;
  answers: CheckoutAnswers;
  metrics: Counting;
  config: Pick<
    Config,
    "RESERVATION_TTL" | "SHIPPING_FLAT" | "SHIPPING_FREE_FROM" | "TAX_PERCENT" | "CURRENCY"
  >;
}

/** What the steps of one saga work with. */
export interface SagaContext extends OrdersParts {
  /** From whom the participants are called: the request, or the service itself in a job. */
  caller: Caller;
  saga: SagaRow;
  /** The order: as the saga found it, and then as its last local transaction left it. */
  record: OrderRecord;
  /** Learnt by the charge. */
  payment?: { id: string; provider: string };
}

/**
 * Keeps the answer to the request that placed the order, in the transaction that decides it.
 * @param decided the order as it stands now, or why there is none
 */
export async function keepAnswer(
  { answers }: SagaContext,
  tx: Tx,
  orderId: string,
  decided: OrderRecord | Refusal,
): Promise<void> {
  if ("order" in decided) {
    const { order, items, history } = decided;
    return await answers.keep(tx, orderId, { order: orderView(order, items, history) });
  }
  // Nothing was bought and the payment provider was away: asking again is what the client should do.
  if (decided.status >= 500) return await answers.free(tx, orderId);
  const { step: _step, ...failure } = decided;
  await answers.keep(tx, orderId, { failure });
}
