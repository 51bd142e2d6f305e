import { Box, Text } from "ink";
import { createElement as h, type ReactElement } from "react";
import { bytes, duration } from "../lib/output.ts";
import type { Snapshot } from "../status/snapshot.ts";
import { OrderSight } from "./order-screen.ts";
import { arranged } from "./top-layout.ts";
import { ListView } from "./top-list-view.ts";
import { figure, instancesList, type List, type ListName } from "./top-lists.ts";
import type { TopView } from "./top-view.ts";

interface Props {
  view: TopView;
  detail: { list: ListName; key: string };
  width: number;
  height: number;
}

/** One node, service or order, looked into. */
export function TopDetail({ view, detail, width, height }: Props): ReactElement {
  const { snapshot, sight } = view;
  const { list, key } = detail;
  if (list === "orders" || list === "sagas") {
    const isIt = sight !== undefined && key.startsWith(sight.order.id);
    return h(Box, { flexShrink: 0 }, isIt ? h(OrderSight, { sight }) : h(Text, null, "Looking…"));
  }
  const found = snapshot && (list === "nodes" ? nodeFacts(snapshot, key) : serviceFacts(snapshot, key));
  if (!found) return h(Text, null, `${key} is gone.`);
  return h(
    Box,
    { flexDirection: "column", flexShrink: 0 },
    ...found.facts.map(([name, text]) =>
      h(
        Text,
        { key: name, wrap: "truncate" },
        h(Text, { dimColor: true }, name.padEnd(12)),
        text === "" ? "-" : text,
      ),
    ),
    h(Text, null, " "),
    h(ListView, {
      ...{ list: found.list, rows: arranged(found.list, "", BUSIEST), sort: BUSIEST, width },
      ...{ part: { rows: Math.max(1, height - found.facts.length - 2) }, isActive: true, cursor: undefined },
    }),
  );
}

/** By calls a second. */
const BUSIEST = { column: 1, descending: true };

interface Facts {
  facts: [string, string][];
  list: List;
}

function nodeFacts({ nodes, circuits }: Snapshot, id: string): Facts | undefined {
  const node = nodes.find((one) => one.id === id);
  if (!node) return undefined;
  const { state, failing, figures, services } = node;
  const open = circuits.filter(({ from, node: to }) => from === id || to === id);
  return {
    facts: [
      ["node", `${id}, ${state}`],
      ["failing", failing.join(", ")],
      ["version", figures ? `${figures.version} on Node ${figures.node_version}` : ""],
      ["up", figures ? duration(figures.uptime_s) : ""],
      ["load", figures ? `${figure(figures.cpu_percent)} % of a core, ${bytes(figures.rss_bytes)}` : ""],
      [
        "delays",
        figures
          ? `event loop ${figure(figures.event_loop_lag_ms)} ms, there and back ${figure(figures.latency_ms)} ms`
          : "",
      ],
      ["circuits", open.map(({ from, node: to, action }) => `${from} → ${to} ${action}`).join(", ")],
    ],
    list: instancesList(
      "service",
      services.map((one) => ({ ...one, key: one.name })),
    ),
  };
}

function serviceFacts({ services, nodes, circuits }: Snapshot, name: string): Facts | undefined {
  const service = services.find((one) => one.name === name);
  if (!service) return undefined;
  const open = circuits.filter(({ action }) => action.startsWith(`${name}.`));
  return {
    facts: [
      ["service", `${name}, ${service.status}, ${service.ready} of ${service.instances} ready`],
      ["version", service.versions.join(", ")],
      ["circuits", open.map(({ from, node, action }) => `${from} → ${node} ${action}`).join(", ")],
    ],
    list: instancesList(
      "node",
      nodes.flatMap(({ id, services: own }) =>
        own.filter((one) => one.name === name).map((one) => ({ ...one, key: id })),
      ),
    ),
  };
}

const HELP: readonly [string, string][] = [
  ["Tab, 1 to 6", "the next list, or one by its number"],
  ["↑ ↓, j k", "choose a row"],
  ["Enter", "look into a service, a node or an order; Esc goes back"],
  ["s", "sort by the next column"],
  ["r", "the other way round"],
  ["/", "only rows with these letters; Enter keeps them, Esc shows all"],
  ["Space", "pause, and go on"],
  ["?", "this help"],
  ["q, Ctrl-C", "quit"],
];

export function TopHelp(): ReactElement {
  return h(
    Box,
    { flexDirection: "column", flexShrink: 0 },
    ...HELP.map(([keys, text]) =>
      h(Text, { key: keys, wrap: "truncate" }, h(Text, { bold: true }, keys.padEnd(14)), text),
    ),
    h(Text, null, " "),
    h(
      Text,
      { dimColor: true, wrap: "truncate" },
      "Latencies are of the last 5 to 10 s, orders and revenue of the last 60 s.",
    ),
  );
}
