import { Box, Text, useWindowSize } from "ink";
import { createElement as h, type ReactElement } from "react";
import type { HealthReport } from "../actions/health.ts";
import { factsOf, nodesTable, servicesTable } from "../status/health-lines.ts";

const COLORS = { healthy: "green", degraded: "yellow", unhealthy: "red", down: "red" } as const;

/** The live screen of `health --watch`. */
export function HealthScreen({ report }: { report: HealthReport | undefined }): ReactElement {
  const { rows } = useWindowSize();
  if (!report) return h(Text, null, "Looking…");
  const { status, url, nodes, error, checked_at } = report;
  const services = servicesTable(report);
  const facts = factsOf(report);
  // A frame as high as the terminal would scroll: of many nodes the last ones stay out.
  const room = Math.max(1, rows - services.length - facts.length - 8);
  const shown = nodesTable(nodes ?? []).slice(0, room + 1);
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
      `${checked_at.slice(11, 19)} UTC · Ctrl-C ends${hidden > 0 ? ` · ${hidden} more nodes` : ""}`,
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
