import { cpus } from "node:os";
import { table } from "../cli/lib/output.ts";
import type { Figures } from "./measure.ts";

/** What was compared in one go: one side is the shop's, the others are floors. */
export interface Result {
  title: string;
  lines: Line[];
}

interface Line extends Figures {
  /** Its rate by that of each floor, by the floor's name. */
  ratios: Record<string, number>;
}

/** @param floors the floors that each of the shop's sides is held against, by name; what has none is a floor itself */
export function resultOf(
  title: string,
  figures: readonly Figures[],
  floors: Record<string, string[]> = {},
): Result {
  const rateOf = (name: string) => figures.find((one) => one.name === name)?.rate ?? Number.NaN;
  const lines = figures.map((one) => ({
    ...one,
    ratios: Object.fromEntries((floors[one.name] ?? []).map((floor) => [floor, one.rate / rateOf(floor)])),
  }));
  return { title, lines };
}

export function tableText({ title, lines }: Result): string {
  const rows = lines.map(({ name, rate, p50, p99, errors, cpu, ratios }) => [
    name,
    Math.round(rate),
    Number(p50.toFixed(1)),
    Number(p99.toFixed(1)),
    p50 > 0 ? Number((p99 / p50).toFixed(1)) : 0,
    errors,
    cpu === undefined ? "" : Number(cpu.toFixed(1)),
    Object.entries(ratios)
      .map(([floor, ratio]) => `${ratio.toFixed(2)} of ${floor}`)
      .join(", "),
  ]);
  return [title, ...table(["", "per s", "p50 ms", "p99 ms", "p99/p50", "errors", "CPU µs", ""], rows)].join(
    "\n",
  );
}

/** What the figures were taken on. */
export function machine() {
  const processors = cpus();
  return { cores: processors.length, cpu: processors[0]?.model ?? "", node: process.version };
}
