import { ORDER_STATUSES } from "../services/orders/order-state.ts";
import { STORES } from "./health.ts";
import type { ServiceName } from "./service-names.ts";

/**
 * Every metric of ours, declared before anything counts it: dashboards, alerts and docs/observability.md name these.
 * (`moleculer_*` and most of `process_*` are Moleculer's.)
 */

/** A label's values, where they are few and known: then each is there from the start, at 0. `null`: any text. */
type Labels = Readonly<Record<string, readonly string[] | null>>;

interface Declared {
  help: string;
  labels: Labels;
  /** The service that counts it; none: every node. */
  owner?: ServiceName;
}

interface Counter extends Declared {
  type: "counter";
}
/** One that something else counts already; read, as gauges are, when the node is scraped. */
interface ReadCounter extends Declared {
  type: "counter";
  read: true;
}
/** A time: observed in ms, told in seconds. */
interface Histogram extends Declared {
  type: "histogram";
  unit: "seconds";
  /** Upper bounds in ms. */
  buckets: readonly number[];
}
/** Read when the node is scraped. */
interface Gauge extends Declared {
  type: "gauge";
  unit?: "seconds";
}

const REQUEST_BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
const SAGA_BUCKETS = [
  10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 3_600_000,
];

export const SAGA_STATES = ["running", "compensating", "waiting", "parked"] as const;
const CATALOGUE = {
  molecart_http_request_duration_seconds: {
    type: "histogram",
    help: "Time from the request's head to the answer's end. route is the template, never the URL",
    labels: { method: null, route: null, status: null },
    unit: "seconds",
    buckets: REQUEST_BUCKETS,
    owner: "gateway",
  },
  molecart_call_duration_seconds: {
    type: "histogram",
    help: "Time of each call of an action: on the node that runs it (local), and seen from another that asks (remote)",
    labels: { service: null, action: null, caller: null, type: ["local", "remote"] },
    unit: "seconds",
    buckets: REQUEST_BUCKETS,
  },
  molecart_call_failures_total: {
    type: "counter",
    help: "Calls that ended with an error, refusals included, by its code",
    labels: { service: null, action: null, caller: null, type: ["local", "remote"], code: null },
  },
  molecart_calls_active: {
    type: "gauge",
    help: "Calls that this node runs or waits for",
    labels: {},
  },
  molecart_packets_total: {
    type: "counter",
    read: true,
    help: "Packets over NATS: requests, answers, events, signs of life",
    labels: { direction: ["sent", "received"] },
  },
  molecart_eventloop_delay_seconds: {
    type: "gauge",
    help: "How long the event loop made a timer wait, over the last 30 to 60 s",
    labels: { quantile: ["0.5", "0.99", "1"] },
    unit: "seconds",
  },
  molecart_gc_seconds_total: {
    type: "counter",
    read: true,
    help: "Time spent collecting garbage",
    labels: { kind: ["minor", "major", "incremental", "weakcb"] },
  },
  process_cpu_seconds_total: {
    type: "counter",
    read: true,
    help: "CPU time of this process, user and system",
    labels: {},
  },
  process_open_fds: {
    type: "gauge",
    help: "Open file descriptors (where the system tells, as Linux does)",
    labels: {},
  },
  molecart_store_up: {
    type: "gauge",
    help: "Whether a store that services of this node need answers: 1 or 0",
    labels: { store: STORES },
  },
  molecart_cache_requests_total: {
    type: "counter",
    read: true,
    help: "Look-ups of cached answers",
    labels: { result: ["hit", "miss"] },
  },
  molecart_saga_duration_seconds: {
    type: "histogram",
    help: "Time from when a saga was set going (placed, paid, cancelled, redriven) to its end",
    labels: { kind: ["checkout", "closing"], outcome: ["done", "undone"] },
    unit: "seconds",
    buckets: SAGA_BUCKETS,
    owner: "orders",
  },
  molecart_saga_steps_total: {
    type: "counter",
    help: "Steps asked for, by the answer; 'undo …' are compensations",
    labels: { step: null, outcome: ["ok", "refused", "unknown"] },
    owner: "orders",
  },
  molecart_sagas: {
    type: "gauge",
    help: "Sagas that are not at their end",
    labels: { state: SAGA_STATES },
    owner: "orders",
  },
  molecart_saga_oldest_seconds: {
    type: "gauge",
    help: "Age of the oldest saga that is not at its end",
    labels: { state: SAGA_STATES },
    unit: "seconds",
    owner: "orders",
  },
  molecart_sagas_parked: {
    type: "gauge",
    help: "Sagas that gave up and wait for an operator",
    labels: {},
    owner: "orders",
  },
  molecart_orders_total: {
    type: "counter",
    help: "Orders that came to a status; pending are those that were placed",
    labels: { status: ORDER_STATUSES },
    owner: "orders",
  },
  molecart_revenue_total: {
    type: "counter",
    help: "Totals of confirmed orders in major units, without those of load generators",
    labels: { currency: null },
    owner: "orders",
  },
  molecart_reservations_expired_total: {
    type: "counter",
    help: "Orders that were cancelled because nobody paid while their stock was reserved",
    labels: {},
    owner: "orders",
  },
  molecart_stock_refusals_total: {
    type: "counter",
    help: "Reservations refused for want of stock",
    labels: {},
    owner: "inventory",
  },
  molecart_stock_oversold: {
    type: "gauge",
    help: "Stock levels that break 0 <= reserved <= on hand: must be 0",
    labels: {},
    owner: "inventory",
  },
  molecart_payments_total: {
    type: "counter",
    help: "Charges sent to a payment provider, by its answer",
    labels: { provider: null, outcome: ["captured", "declined", "invalid_method", "unavailable", "unknown"] },
    owner: "payments",
  },
  molecart_mails_total: {
    type: "counter",
    help: "Attempts to hand a mail to the mail server: sent, to be tried again (deferred), or given up (failed)",
    labels: { outcome: ["sent", "deferred", "failed"] },
    owner: "notifications",
  },
  molecart_mails_waiting: {
    type: "gauge",
    help: "Mails that are queued or being sent",
    labels: {},
    owner: "notifications",
  },
  molecart_mail_oldest_seconds: {
    type: "gauge",
    help: "How long the oldest of the mails that wait has been waiting; 0 if there is none",
    labels: {},
    unit: "seconds",
    owner: "notifications",
  },
  molecart_queue_pending: {
    type: "gauge",
    help: "Jobs that are due or being handled",
    labels: { database: null, queue: null },
  },
  molecart_queue_oldest_seconds: {
    type: "gauge",
    help: "Time since the oldest pending job was due; 0 if there is none",
    labels: { database: null, queue: null },
    unit: "seconds",
  },
  molecart_dead_letters: {
    type: "gauge",
    help: "Jobs given up after their last retry",
    labels: { database: null, queue: null },
  },
  molecart_event_deliveries_total: {
    type: "counter",
    help: "Durable events handed to a subscriber, by whether it acknowledged",
    labels: { subscriber: null, outcome: ["ok", "failed"] },
  },
} as const satisfies Record<string, Counter | ReadCounter | Histogram | Gauge>;

type Catalogue = typeof CATALOGUE;
export type MetricName = keyof Catalogue;
type NamesOf<D> = { [N in MetricName]: Catalogue[N] extends D ? N : never }[MetricName];
/** What is read when the node is scraped. */
export type ReadName = NamesOf<Gauge | ReadCounter>;
export type CounterName = Exclude<NamesOf<Counter>, ReadName>;
export type HistogramName = NamesOf<Histogram>;

export type LabelsOf<N extends MetricName> = {
  [L in keyof Catalogue[N]["labels"]]: Catalogue[N]["labels"][L] extends readonly (infer V)[]
    ? V
    : string | number | undefined;
};

/** The declaration of a metric, with its optional parts. */
export function declarationOf(name: MetricName): Counter | ReadCounter | Histogram | Gauge {
  return CATALOGUE[name];
}

export const metricNames = Object.keys(CATALOGUE).filter((name): name is MetricName => name in CATALOGUE);
