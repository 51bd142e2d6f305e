import type { FlowReport } from "../actions/flow-figures.ts";
import { reportLines } from "../actions/verify.ts";
import { duration, plural } from "../lib/output.ts";
import type { checkInvariants, OrderCheck } from "./check.ts";
import type { Happened } from "./inject.ts";
import type { Ledger, Outcomes } from "./ledger.ts";

export interface ChaosReport {
  /** Whether every promise holds. */
  ok: boolean;
  mode: "cluster" | "embedded";
  target: string;
  seed: string;
  faults: readonly Happened[];
  /** What the clients were told while it went on. */
  told: Ledger["outcomes"];
  /** What became of what they were not told of. */
  resolved: Outcomes;
  flow: FlowReport;
  orders: OrderCheck;
  /** s from the last fault until no order was under way; null if some still are. */
  settled_s: number | null;
  /** What is not ready after that. */
  failing: string[];
  verify: Awaited<ReturnType<typeof checkInvariants>>;
}

/** What is promised, and whether it held. */
export function promisesOf(
  report: Omit<ChaosReport, "ok">,
): { ok: boolean; text: string; figures: string }[] {
  const { orders, resolved, settled_s, failing, verify } = report;
  const unknown = resolved.acknowledged + resolved.refused + resolved.unknown;
  return [
    {
      ok: orders.found === orders.acknowledged,
      text: "every acknowledged order is there",
      figures: `${orders.found} of ${orders.acknowledged}`,
    },
    {
      ok: orders.final === orders.acknowledged && settled_s !== null,
      text: "each is what its client was told, and at its end",
      figures: `${orders.final} of ${orders.acknowledged}${
        orders.longest_s === null ? "" : `, the slowest after ${duration(orders.longest_s)}`
      }`,
    },
    {
      ok: orders.captures.many === 0,
      text: "none was charged twice",
      figures: `${orders.captures.one} charged once, ${orders.captures.none} never`,
    },
    {
      ok: resolved.unknown === 0,
      text: "every unknown outcome is known when asked again",
      figures: `${unknown}: ${resolved.acknowledged} done, ${resolved.refused} refused`,
    },
    {
      ok: failing.length === 0,
      text: "everything is back by itself",
      figures: failing.join(", ") || "all nodes ready",
    },
    {
      ok: "ok" in verify && verify.ok,
      text: "the shop's invariants hold",
      figures: "error" in verify ? verify.error : "molecart verify",
    },
  ];
}

/** The report as lines of text. */
export function chaosLines(report: ChaosReport): string[] {
  const { told, orders, verify, faults, flow } = report;
  const promises = promisesOf(report);
  const width = Math.max(...promises.map(({ text }) => text.length));
  const failed = promises.filter(({ ok }) => !ok).length;
  const failures = Object.entries(flow.failures).map(([code, count]) => `${code} × ${count}`);
  return [
    "",
    ...tellLines(told),
    `visits     ${flow.visits}, of which ${flow.failed} were let down${failures.length > 0 ? `: ${failures.join(", ")}` : ""}`,
    "",
    ...promises.map(({ ok, text, figures }) => `${ok ? "✓" : "✗"} ${text.padEnd(width)}  ${figures}`),
    ...("error" in verify
      ? []
      : reportLines(verify)
          .filter((line) => /^[✓✗ ]/.test(line))
          .map((line) => `  ${line}`)),
    ...orders.violations.slice(0, 20).map((line) => `  ${line}`),
    "",
    failed === 0
      ? `${plural(faults.length, "fault")}, nothing lost; all at rest ${duration(report.settled_s ?? 0)} after the last.`
      : `${plural(failed, "promise is", "promises are")} broken.`,
    `The same faults again: --seed ${report.seed}`,
  ];
}

export function tellLines({ orders, payments, cancellations }: Ledger["outcomes"]): string[] {
  const line = (name: string, of: Outcomes) =>
    `${name.padEnd(10)} ${of.acknowledged} acknowledged, ${of.refused} refused, ${of.unknown} unknown`;
  return [line("orders", orders), line("payments", payments), line("cancelled", cancellations)];
}

/** `12.3 s  kill -9 orders-1, back after 2.1 s` */
export function happenedLine({ at, text, ended, failed }: Happened): string {
  const time = `${at.toFixed(1)} s`.padStart(7);
  if (failed !== undefined) return `${time}  ${text}: not done: ${failed}`;
  return `${time}  ${text}${ended === null ? "" : `, taken back after ${(ended - at).toFixed(1)} s`}`;
}
