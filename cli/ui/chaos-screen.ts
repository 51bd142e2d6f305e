import { Box, Text, useWindowSize } from "ink";
import { createElement as h, type ReactElement } from "react";
import type { Happened } from "../chaos/inject.ts";
import type { Ledger } from "../chaos/ledger.ts";
import { tellLines } from "../chaos/report.ts";
import { clip, duration, sparkline } from "../lib/output.ts";

export interface ChaosView {
  title: string;
  seed: string;
  /** What goes on now: `breaking`, `settling`, … */
  phase: string;
  /** s since the start */
  seconds: number;
  duration: number;
  faults: readonly Happened[];
  planned: number;
  told: Ledger["outcomes"];
  /** Orders acknowledged in each of the last seconds. */
  rates: readonly number[];
}

const COLORS: Partial<Record<Happened["kind"], string>> = { freeze: "cyan", restart: "yellow" };
/** Lines for what else there is: of a terminal's height the rest is for faults. */
const OTHER_LINES = 12;

/** The live screen of `chaos`. */
export function ChaosScreen({ view }: { view: ChaosView }): ReactElement {
  const { columns, rows } = useWindowSize();
  const { faults, planned, seconds, told, rates } = view;
  const width = Math.max(10, Math.min(60, columns - 20));
  const share = Math.min(1, seconds / view.duration);
  const filled = Math.floor(share * width);
  const shown = faults.slice(-Math.max(3, rows - OTHER_LINES));
  return h(
    Box,
    { flexDirection: "column" },
    h(Text, { wrap: "truncate" }, h(Text, { bold: true }, "CHAOS"), `  ${view.title}`),
    h(
      Text,
      { dimColor: true, wrap: "truncate" },
      `seed ${view.seed}, fault ${faults.length} of ${planned} · Ctrl-C mends all and ends`,
    ),
    h(
      Text,
      { wrap: "truncate" },
      h(Text, { color: "red" }, "█".repeat(filled)),
      h(Text, { dimColor: true }, "░".repeat(width - filled)),
      ` ${duration(Math.min(seconds, view.duration))} ${view.phase}`,
    ),
    h(Text, null, " "),
    ...shown.map((one) =>
      h(
        Text,
        { key: one.n, wrap: "truncate", ...(one.ended === null ? { bold: true } : { dimColor: true }) },
        `${`${one.at.toFixed(1)} s`.padStart(7)}  `,
        h(Text, { color: COLORS[one.kind] ?? "red" }, one.text),
        one.failed === undefined
          ? one.ended === null
            ? "  …"
            : `  back after ${(one.ended - one.at).toFixed(1)} s`
          : `  ${clip(one.failed, 40)}`,
      ),
    ),
    h(Text, null, " "),
    ...tellLines(told).map((line) => h(Text, { key: line.slice(0, 9), wrap: "truncate" }, line)),
    h(Text, { color: "green", wrap: "truncate" }, `orders/s   ${sparkline(rates.slice(-width))}`),
  );
}
