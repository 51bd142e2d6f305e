import type { NewJob, QueueDefinition } from "../../lib/stores/jobs.ts";
import type { Refusal } from "./saga.ts";

/** What is kept of a saga, and the queues of the jobs behind them. */

/** Where the job of a saga goes that was given up. */
export const DEAD_SAGA_QUEUE = "orders-saga-dead";

export const SAGA_QUEUE: QueueDefinition = {
  name: "orders-saga",
  deadLetter: DEAD_SAGA_QUEUE,
  retryLimit: 60,
  retryDelay: 2,
  retryBackoff: true,
  retryDelayMax: 120,
  expireInSeconds: 12,
  deleteAfterSeconds: 3600,
  retentionSeconds: 30 * 86_400,
};

/** Cancels an order that is still waiting for its payment when its reservation ends. */
export const EXPIRY_QUEUE: QueueDefinition = {
  name: "orders-expiry",
  retryLimit: 100,
  retryDelay: 5,
  expireInSeconds: 30,
  deleteAfterSeconds: 3600,
  retentionSeconds: 30 * 86_400,
};

export type SagaKind = "checkout" | "closing";

/** What a saga needs beside its order. Never card data: `payment_method` is a provider's token, dropped at the end. */
export interface SagaData {
  /** Who set it going, for the order's history. */
  actor: "customer" | "admin" | "system";
  payment_method?: string;
  /** Which charge this is: a declined card on a waiting order may be followed by another. */
  charge_attempt?: number;
  /** Paid later, by POST /payments/process: a decline leaves the order waiting. */
  pays_later?: boolean;
  /** Confirmed by an admin without a payment through us. */
  offline?: boolean;
  /** A closing saga: whether the goods go back on the shelf. */
  returns_stock?: boolean;
  /** What the order's history says of the change, and the payment's refund with it. */
  reason?: string;
  refusal?: Refusal;
}

export interface SagaRow {
  id: string;
  order_id: string;
  kind: SagaKind;
  state: "running" | "compensating" | "waiting" | "parked" | "done" | "undone";
  step: string | null;
  data: SagaData;
  attempts: number;
  fence: string;
  /** The job behind it; its id is as old as the saga's last start. */
  job_id: string;
}

/** A saga as it is written first, with its lease (seconds) and the job behind it. */
export interface NewSaga {
  saga: SagaRow;
  owner: string;
  lease: number;
  job: NewJob;
}
