import type { OrderSummary, SagaView } from "../../services/orders/orders.contract.ts";
import { bytes, clean, duration, money } from "../lib/output.ts";
import type { Rate } from "../status/rates.ts";
import type { NodeRates, NodeService, ServiceRates, Snapshot } from "../status/snapshot.ts";

/** What `top` lists, each as rows of text that any list can be sorted, filtered and cut by. */

export const LISTS = ["services", "nodes", "orders", "sagas", "queues", "stock"] as const;
export type ListName = (typeof LISTS)[number];

export interface Row {
  /** Tells it from the others, from one look to the next. */
  key: string;
  cells: readonly string[];
  /** What each column sorts by. */
  values: readonly (string | number)[];
  tone: Tone;
}
export type Tone = "good" | "warn" | "bad" | "plain";

export interface Column {
  title: string;
  /** Least width; the first column takes what is left. */
  width: number;
  isNumber: boolean;
  /** Columns of the terminal from which on it is shown. */
  from: number;
}

export interface List {
  columns: readonly Column[];
  rows: readonly Row[];
}

/** What the lists are made of; the last two only while they are looked at. */
export interface Sources {
  snapshot: Snapshot;
  orders: readonly OrderSummary[];
  sagas: readonly SagaView[];
}

interface ColumnOf<R> extends Partial<Column> {
  title: string;
  value: (row: R) => string | number;
  text?: (row: R) => string;
}

function listOf<R>(
  rows: readonly R[],
  keyOf: (row: R) => string,
  toneOf: (row: R) => Tone,
  columns: readonly ColumnOf<R>[],
): List {
  return {
    columns: columns.map(({ title, width = title.length, isNumber = false, from = 0 }) => ({
      ...{ title, width, isNumber, from },
    })),
    rows: rows.map((row) => ({
      key: keyOf(row),
      cells: columns.map(({ value, text }) => clean(text ? text(row) : String(value(row)))),
      values: columns.map(({ value }) => value(row)),
      tone: toneOf(row),
    })),
  };
}

const number = (title: string, width: number, from = 0) => ({ title, width, from, isNumber: true });
/** One decimal place below 100, none above; `-` where nothing is known. */
export function figure(value: number | null): string {
  if (value === null) return "-";
  return value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 });
}
/** The same where one stands below another, point below point. */
function cellOf(value: number | null): string {
  return value !== null && value > 0 && value < 100 ? value.toFixed(1) : figure(value);
}
/** What is unknown sorts below all that is known. */
const known = (value: number | null) => value ?? -1;

function rateColumns<R extends Rate & { errors: number; p50_ms: number | null; p99_ms: number | null }>(
  calls: string,
): ColumnOf<R>[] {
  return [
    {
      ...number(calls, 8),
      value: (row) => known(row.calls_per_s),
      text: ({ calls_per_s }) => cellOf(calls_per_s),
    },
    { ...number("p50 ms", 7), value: (row) => known(row.p50_ms), text: ({ p50_ms }) => cellOf(p50_ms) },
    { ...number("p99 ms", 7), value: (row) => known(row.p99_ms), text: ({ p99_ms }) => cellOf(p99_ms) },
    {
      ...number("errors/s", 8),
      value: (row) => known(row.errors_per_s),
      text: ({ errors_per_s }) => cellOf(errors_per_s),
    },
  ];
}

function servicesList({ services }: Snapshot): List {
  const tones = { healthy: "good", degraded: "warn", unhealthy: "bad" } as const;
  return listOf<ServiceRates>(
    services,
    ({ name }) => name,
    ({ status, open_circuits }) => (status === "healthy" && open_circuits > 0 ? "warn" : tones[status]),
    [
      { title: "service", width: 14, value: ({ name }) => name },
      { title: "ready", width: 7, value: ({ ready }) => ready, text: readyText },
      ...rateColumns<ServiceRates>("calls/s"),
      { ...number("circuits", 8), value: ({ open_circuits }) => open_circuits },
      { ...number("errors", 8, 92), value: ({ errors }) => errors },
      { title: "version", width: 12, from: 106, value: ({ versions }) => versions.join(", ") },
    ],
  );
}
const readyText = ({ ready, instances }: ServiceRates) => `${ready} of ${instances}`;

function nodesList({ nodes }: Snapshot): List {
  const figures = (row: NodeRates) => row.figures;
  return listOf<NodeRates>(nodes, ({ id }) => id, nodeTone, [
    { title: "node", width: 14, value: ({ id }) => id },
    { title: "state", width: 9, value: ({ state }) => state },
    {
      ...number("up", 11),
      value: (row) => known(figures(row)?.uptime_s ?? null),
      text: (row) => (row.figures ? duration(row.figures.uptime_s) : "-"),
    },
    {
      ...number("calls/s", 8),
      value: (row) => known(row.calls_per_s),
      text: ({ calls_per_s }) => cellOf(calls_per_s),
    },
    {
      ...number("cpu %", 5),
      value: (row) => known(figures(row)?.cpu_percent ?? null),
      text: (row) => cellOf(row.figures?.cpu_percent ?? null),
    },
    {
      ...number("memory", 7),
      value: (row) => known(figures(row)?.rss_bytes ?? null),
      text: (row) => (row.figures ? bytes(row.figures.rss_bytes) : "-"),
    },
    {
      ...number("lag ms", 6),
      value: (row) => known(figures(row)?.event_loop_lag_ms ?? null),
      text: (row) => cellOf(row.figures?.event_loop_lag_ms ?? null),
    },
    {
      ...number("errors/s", 8, 92),
      value: (row) => known(row.errors_per_s),
      text: ({ errors_per_s }) => cellOf(errors_per_s),
    },
    { title: "version", width: 8, from: 106, value: (row) => figures(row)?.version ?? "-" },
    { title: "services", width: 20, from: 130, value: ({ services }) => services.map(nameOf).join(" ") },
  ]);
}
const nameOf = ({ name }: { name: string }) => name;

function nodeTone({ state }: NodeRates): Tone {
  return state === "ready" ? "good" : "bad";
}

/** One node's services, or the instances of one service by node. */
export function instancesList(title: string, rows: readonly (NodeService & { key: string })[]): List {
  return listOf(
    rows,
    ({ key }) => key,
    () => "plain",
    [
      { title, width: 14, value: ({ key }) => key },
      ...rateColumns<NodeService & { key: string }>("calls/s"),
      { ...number("calls", 10), value: ({ calls }) => calls },
      { ...number("errors", 8), value: ({ errors }) => errors },
    ],
  );
}

const ORDER_TONES: Partial<Record<OrderSummary["status"], Tone>> = {
  pending: "warn",
  cancelled: "plain",
  refunded: "plain",
};

function ordersList(orders: readonly OrderSummary[]): List {
  return listOf(
    orders,
    ({ id }) => id,
    ({ status }) => ORDER_TONES[status] ?? "good",
    [
      { title: "order", width: 12, value: ({ number: name }) => name },
      { title: "status", width: 10, value: ({ status }) => status },
      {
        ...number("total", 13),
        value: ({ total_amount }) => total_amount,
        text: (row) => money(row.total_amount, row.currency),
      },
      { ...number("items", 5), value: ({ items }) => items.length },
      {
        title: "placed",
        width: 8,
        value: ({ created_at }) => created_at,
        text: (row) => row.created_at.slice(11, 19),
      },
      { title: "payment", width: 10, value: ({ payment }) => payment?.status ?? "-" },
      { title: "", width: 9, value: ({ synthetic }) => (synthetic ? "synthetic" : "") },
    ],
  );
}

function sagasList(sagas: readonly SagaView[]): List {
  return listOf(
    sagas,
    ({ order_id, kind }) => `${order_id} ${kind}`,
    ({ state }) => (state === "parked" ? "bad" : state === "compensating" ? "warn" : "plain"),
    [
      { title: "order", width: 12, value: ({ number: name }) => name },
      { title: "kind", width: 8, value: ({ kind }) => kind },
      { title: "state", width: 12, value: ({ state }) => state },
      { title: "step", width: 10, value: ({ step }) => step ?? "-" },
      { ...number("tries", 5), value: ({ attempts }) => attempts },
      {
        title: "since",
        width: 8,
        value: ({ created_at }) => created_at,
        text: (row) => row.created_at.slice(11, 19),
      },
      { title: "last error", width: 12, value: ({ last_error }) => last_error ?? "-" },
    ],
  );
}

function queuesList({ queues }: Snapshot): List {
  return listOf(
    queues ?? [],
    ({ queue }) => queue,
    ({ dead, oldest_s }) => (dead > 0 ? "bad" : oldest_s > 60 ? "warn" : "plain"),
    [
      { title: "queue", width: 22, value: ({ queue }) => queue },
      { ...number("due", 7), value: ({ pending }) => pending },
      {
        ...number("oldest", 11),
        value: ({ oldest_s }) => oldest_s,
        text: (row) => duration(row.oldest_s),
      },
      { ...number("scheduled", 9), value: ({ scheduled }) => scheduled },
      { ...number("dead", 6), value: ({ dead }) => dead },
    ],
  );
}

function stockList({ low_stock }: Snapshot): List {
  return listOf(
    low_stock?.products ?? [],
    ({ id }) => String(id),
    ({ available }) => (available === 0 ? "bad" : "warn"),
    [
      { title: "product", width: 24, value: ({ name }) => name },
      { title: "sku", width: 16, value: ({ sku }) => sku },
      { ...number("id", 7), value: ({ id }) => id },
      { ...number("left", 6), value: ({ available }) => available },
    ],
  );
}

export function makeList(name: ListName, { snapshot, orders, sagas }: Sources): List {
  switch (name) {
    case "services":
      return servicesList(snapshot);
    case "nodes":
      return nodesList(snapshot);
    case "orders":
      return ordersList(orders);
    case "sagas":
      return sagasList(sagas);
    case "queues":
      return queuesList(snapshot);
    case "stock":
      return stockList(snapshot);
  }
}
