import type { Caller } from "../../lib/call.ts";
import type { Config } from "../../lib/config.ts";
import type { Counting } from "../../lib/metrics.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { CheckoutAnswers } from "./checkout-answers.ts";
import type { OrderRecord, OrderStore } from "./order-store.ts";
import type { Refusal } from "./saga.ts";
import type { SagaRow, SagaStore } from "./saga-store.ts";

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

/** Keeps the answer to the request that placed the order, in the transaction that decides it. */
export async function keepAnswer(context: SagaContext, tx: Tx, refusal?: Refusal): Promise<void> {
  const { answers, orders, record } = context;
  // Nothing was bought and the payment provider was away: asking again is what the client should do.
  if (refusal && refusal.status >= 500) return await answers.free(tx, record.order.id);
  await answers.keep(tx, record.order.id, async () =>
    refusal
      ? {
          failure: {
            code: refusal.code,
            status: refusal.status,
            message: refusal.message,
            data: refusal.data,
          },
        }
      : { order: await orders.view(record.order.id, tx) },
  );
}
