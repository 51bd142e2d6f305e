import { Box, Text } from "ink";
import { createElement as h, type ReactElement } from "react";
import { duration, sparkline } from "../lib/output.ts";
import { storesText } from "../status/snapshot.ts";
import { figure, LISTS } from "./top-lists.ts";
import type { TopState } from "./top-state.ts";
import type { TopView } from "./top-view.ts";

/** Lines of the header: of a small terminal it leaves most to the lists. */
export const headerLines = (rows: number) => (rows < 15 ? SHORT : 8);
const SHORT = 3;

const COLORS = { healthy: "green", degraded: "yellow", unhealthy: "red" } as const;

interface Props {
  view: TopView;
  trouble: TopView["trouble"];
  state: TopState<TopView>;
  width: number;
  height: number;
  hasKeys: boolean;
}

/** What the shop does as a whole, and which lists there are. */
export function TopHeader(props: Props): ReactElement {
  const { view, trouble, state, height, hasKeys } = props;
  const { snapshot } = view;
  const isShort = height === SHORT;
  const last = isShort ? workText(view) : snapshot ? storesText(snapshot.stores) : " ";
  return h(
    Box,
    { flexDirection: "column", height, flexShrink: 0 },
    h(Title, { view, trouble, isPaused: state.frozen !== undefined }),
    ...(isShort ? [] : [h(Figures, { key: "figures", ...props })]),
    h(Text, { wrap: "truncate", ...(trouble ? { color: "red" } : {}) }, trouble ? trouble.message : last),
    state.isTyping
      ? h(Text, { wrap: "truncate" }, `Filter ${state.list}: `, h(Text, { color: "cyan" }, state.filter), "▏")
      : h(Tabs, { state, hasKeys }),
  );
}

function Figures({ view, width }: Props): ReactElement {
  const { snapshot, series } = view;
  const sales = snapshot?.sales;
  return h(
    Box,
    { flexDirection: "column" },
    h(Spark, { ...{ name: "calls/s", width }, value: snapshot?.calls_per_s ?? null, values: series.calls }),
    h(Spark, {
      ...{ name: "orders/min", width },
      value: sales?.orders_per_minute ?? null,
      values: series.minutes.map(({ orders }) => orders),
    }),
    h(Spark, {
      ...{ name: `${sales?.currency ?? "revenue"}/min`, width },
      value: sales?.revenue_per_minute ?? null,
      values: series.minutes.map(({ revenue }) => Math.max(0, revenue)),
    }),
    h(Text, { wrap: "truncate" }, requestsText(view)),
    h(Text, { wrap: "truncate" }, workText(view)),
  );
}

function Title(props: { view: TopView; trouble: TopView["trouble"]; isPaused: boolean }): ReactElement {
  const { snapshot, url } = props.view;
  const { trouble } = props;
  const nodes = snapshot?.nodes ?? [];
  const ready = nodes.filter(({ state }) => state === "ready").length;
  return h(
    Text,
    { wrap: "truncate" },
    trouble
      ? h(Text, { bold: true, color: "red" }, `NO ANSWER since ${clock(trouble.since)}`)
      : snapshot && h(Text, { bold: true, color: COLORS[snapshot.status] }, snapshot.status.toUpperCase()),
    `  ${url}  nodes ${ready}/${nodes.length}`,
    snapshot ? `  ${clock(snapshot.timestamp)} UTC` : "",
    props.isPaused ? h(Text, { bold: true, color: "yellow" }, "  PAUSED") : "",
  );
}

const clock = (iso: string) => iso.slice(11, 19);
const LABEL = 11;
const VALUE = 11;

/** A figure now, and what it was: the newest to the right. */
function Spark(props: {
  name: string;
  value: number | null;
  values: readonly number[];
  width: number;
}): ReactElement {
  const { name, value, values, width } = props;
  const bars = sparkline(values.slice(-Math.max(1, width - LABEL - VALUE - 2)));
  return h(
    Text,
    { wrap: "truncate" },
    h(Text, { dimColor: true }, name.padEnd(LABEL)),
    figure(value).padStart(VALUE),
    "  ",
    h(Text, { color: "cyan" }, bars),
  );
}

function requestsText({ snapshot }: TopView): string {
  if (!snapshot) return " ";
  const gateway = snapshot.services.find(({ name }) => name === "gateway");
  return [
    `requests/s ${figure(snapshot.requests_per_s)}`,
    `p50 ${figure(gateway?.p50_ms ?? null)} ms, p99 ${figure(gateway?.p99_ms ?? null)} ms`,
    `errors/s ${figure(snapshot.errors_per_s)}`,
    `open circuits ${snapshot.circuits.length}`,
  ].join(" · ");
}

function workText({ snapshot }: TopView): string {
  if (!snapshot) return " ";
  const { sagas, jobs, low_stock, not_asked } = snapshot;
  return [
    sagas
      ? `sagas ${sagas.running + sagas.compensating}, stuck ${sagas.stuck}, parked ${sagas.parked}`
      : "sagas ?",
    `dead letters ${jobs?.dead ?? "?"}`,
    ...(jobs && jobs.oldest_s >= 1 ? [`jobs ${duration(jobs.oldest_s)} late`] : []),
    `low stock ${low_stock?.count ?? "?"}`,
    ...(not_asked.length > 0 ? [`no answer: ${not_asked.join(", ")}`] : []),
  ].join(" · ");
}

function Tabs({ state, hasKeys }: { state: TopState<TopView>; hasKeys: boolean }): ReactElement {
  if (!hasKeys) return h(Text, { dimColor: true }, "Ctrl-C ends");
  return h(
    Text,
    { wrap: "truncate" },
    ...LISTS.map((name, index) => {
      const isActive = name === state.list;
      const filter = isActive && state.filter !== "" ? ` /${state.filter}` : "";
      return h(
        Text,
        { key: name, ...(isActive ? { bold: true, color: "cyan" } : { dimColor: true }) },
        `${isActive ? "[" : " "}${index + 1} ${name}${filter}${isActive ? "]" : " "}`,
      );
    }),
    h(Text, { dimColor: true }, state.detail || state.isHelp ? "   Esc back" : "   ? help  q quit"),
  );
}
