import { Box, Text } from "ink";
import { createElement as h, type ReactElement } from "react";
import { gatewayText, type HealthReport, nodeText } from "../actions/health.ts";

const COLORS = { healthy: "green", degraded: "yellow", unhealthy: "red", down: "red" } as const;

/** The live screen of `health --watch`. */
export function HealthScreen({ report }: { report: HealthReport | undefined }): ReactElement {
  if (!report) return h(Text, null, "Looking…");
  const { status, url, services, gateway, node, sagas, error, checked_at } = report;
  const line = (name: string, text: string) =>
    h(
      Box,
      { key: `line ${name}` },
      h(Box, { width: 15, flexShrink: 0 }, h(Text, { dimColor: true }, name)),
      h(Text, { wrap: "truncate" }, text),
    );
  return h(
    Box,
    { flexDirection: "column" },
    h(
      Text,
      { wrap: "truncate" },
      h(Text, { bold: true, color: COLORS[status] }, status.toUpperCase()),
      `  ${url}`,
    ),
    h(Text, { dimColor: true }, `${checked_at.slice(11, 19)} UTC · Ctrl-C ends`),
    h(Text, null, error ?? " "),
    ...Object.entries(services).map(([name, service]) =>
      h(
        Box,
        { key: name },
        h(Box, { width: 15 }, h(Text, null, name)),
        h(Box, { width: 12 }, h(Text, { color: COLORS[service.status] }, service.status)),
        h(Text, { dimColor: true }, `× ${service.instances}`),
      ),
    ),
    h(Text, null, " "),
    ...(gateway ? [line("gateway", gatewayText(gateway))] : []),
    ...(node ? [line("node", nodeText(node))] : []),
    ...(sagas ? [line("sagas", `${sagas.under_way} under way, ${sagas.parked} parked`)] : []),
  );
}
