import { Box, Text, useWindowSize } from "ink";
import { createElement as h, type ReactElement } from "react";
import type { NodeStatus } from "../../services/gateway/status.contract.ts";
import type { HealthReport } from "../actions/health.ts";
import { plural } from "../lib/output.ts";
import { factsOf, nodesTable, servicesTable } from "../status/health-lines.ts";

const COLORS = { healthy: "green", degraded: "yellow", unhealthy: "red", down: "red" } as const;

/** The live screen of `health --watch`. @param props.height lines, in place of the terminal's own */
export function HealthScreen(props: { report: HealthReport | undefined; height?: number }): ReactElement {
  const terminal = useWindowSize();
  const { report, height: rows = terminal.rows } = props;
  if (!report) return h(Text, null, "Looking…");
  const { status, url, nodes, error, checked_at } = report;
  const facts = factsOf(report);
  // A frame as high as the terminal would scroll: with many nodes, what is well gets less room.
  const left = rows - facts.length - 7;
  const all = servicesTable(report);
  const services = all.length + (nodes?.length ?? 0) <= left ? all : illOnly(all);
  const room = Math.max(0, left - services.length);
  const shown = room > 0 ? nodesTable((nodes ?? []).toSorted(illFirst)).slice(0, room + 1) : [];
  const hidden = (nodes?.length ?? 0) - room;
  return h(
    Box,
    { flexDirection: "column" },
    h(
      Text,
      { wrap: "truncate" },
      h(Text, { bold: true, color: COLORS[status] }, status.toUpperCase()),
      `  ${url}`,
    ),
    h(
      Text,
      { dimColor: true, wrap: "truncate" },
      `${checked_at.slice(11, 19)} UTC · Ctrl-C ends${hidden > 0 ? ` · ${plural(hidden, "more node")}` : ""}`,
    ),
    h(Text, { color: "red", wrap: "truncate" }, error ?? " "),
    ...services.map((line, index) => h(Line, { key: `s${index}`, line, isHeader: index === 0 })),
    ...(shown.length > 0 ? [h(Text, { key: "gap" }, " ")] : []),
    ...shown.map((line, index) => h(Line, { key: `n${index}`, line, isHeader: index === 0 })),
    h(Text, null, " "),
    ...facts.map(([name, text], index) =>
      h(
        Text,
        { key: `f${index}`, wrap: "truncate", ...(name === "" ? { color: "red" } : {}) },
        h(Text, { dimColor: true }, name.padEnd(9)),
        text,
      ),
    ),
  );
}

const illFirst = (a: NodeStatus, b: NodeStatus) => Number(a.state === "ready") - Number(b.state === "ready");

/** A table with its lines of what is well made one. */
function illOnly(lines: readonly string[]): string[] {
  const ill = lines.filter((line, index) => index > 0 && !line.startsWith("✓"));
  const well = lines.length - 1 - ill.length;
  return [...lines.slice(0, 1), ...ill, ...(well > 0 ? [`✓  ${plural(well, "service")} healthy`] : [])];
}

/** A table's line, coloured by the mark that it begins with. */
function Line({ line, isHeader }: { line: string; isHeader: boolean }): ReactElement {
  const mark = line.charAt(0);
  const color = { "✓": "green", "!": "yellow", "✗": "red" }[mark];
  if (isHeader) return h(Text, { dimColor: true, wrap: "truncate" }, line);
  return h(
    Text,
    { wrap: "truncate" },
    h(Text, color === undefined ? null : { color }, mark),
    h(Text, color === "green" ? null : { bold: true }, line.slice(1)),
  );
}
