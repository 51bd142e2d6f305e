import { Box, Text, useWindowSize } from "ink";
import { createElement as h, type ReactElement } from "react";
import { type FlowReport, flowLines } from "../actions/flow-figures.ts";
import { sparkline } from "../lib/output.ts";

/** The live figures of `order flow`. @param props.rates orders in each of the last seconds */
export function FlowScreen(props: {
  report: FlowReport | undefined;
  rates: readonly number[];
}): ReactElement {
  const { columns } = useWindowSize();
  const { report, rates } = props;
  if (!report) return h(Text, null, "The first customers come in…");
  const width = Math.max(10, Math.min(60, columns - 8));
  const filled = Math.floor((report.visits / report.count) * width);
  return h(
    Box,
    { flexDirection: "column" },
    h(
      Text,
      null,
      h(Text, { color: "green" }, "█".repeat(filled)),
      h(Text, { dimColor: true }, "░".repeat(width - filled)),
      ` ${Math.floor((report.visits / report.count) * 100)} %`,
    ),
    h(Text, null, " "),
    ...flowLines(report).map((line) =>
      h(
        Text,
        {
          key: line.slice(0, 10),
          wrap: "truncate",
          ...(line.startsWith("failed") && report.failed > 0 ? { color: "red" } : {}),
        },
        line,
      ),
    ),
    h(Text, { color: "cyan" }, `orders/s   ${sparkline(rates.slice(-width))}`),
    h(Text, { dimColor: true }, "Ctrl-C stops sending new ones"),
  );
}
