import { pino } from "pino";
import { Misuse } from "../lib/errors.ts";

/** One line of a node's log. */
export interface LogLine {
  node: string;
  /** ms since 1970 */
  time: number;
  /** pino's: 30 is info, 40 warn, 50 error */
  level: number;
  /** As it stands in the file. */
  text: string;
}

export interface LogFilter {
  /** Nodes' names; all without one. */
  nodes: readonly string[];
  /** Services' names; all lines without one. */
  services: readonly string[];
  /** pino's number: less is left out. */
  level: number;
  /** ms since 1970 */
  since: number;
  pattern: RegExp | undefined;
  /** The id of a request. */
  request: string | undefined;
}

/** Reads a line; one that isn't whole JSON (a crash has cut it) counts as part of what stands before it. */
export function lineOf(node: string, text: string, before: LogLine | undefined): LogLine {
  const { time, level } = fieldsOf(text);
  return {
    node,
    time: typeof time === "number" ? time : (before?.time ?? 0),
    level: typeof level === "number" ? level : (before?.level ?? 0),
    text,
  };
}

function fieldsOf(text: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(text) };
  } catch {
    return {};
  }
}

export function passes(
  line: LogLine,
  { nodes, services, level, since, pattern, request }: LogFilter,
): boolean {
  if (nodes.length > 0 && !nodes.includes(line.node)) return false;
  if (line.level < level || line.time < since) return false;
  if (pattern && !pattern.test(line.text)) return false;
  if (request === undefined && services.length === 0) return true;
  const { request_id, svc, mod } = fieldsOf(line.text);
  if (request !== undefined && request_id !== request) return false;
  return services.length === 0 || services.some((name) => name === svc || name === mod);
}

/** @throws Misuse */
export function patternOf(text: string | undefined): RegExp | undefined {
  if (text === undefined) return undefined;
  try {
    return new RegExp(text);
  } catch {
    throw new Misuse(`${text} is no regular expression.`, "Quote what is special in one: \\( \\[ \\.");
  }
}

export const LEVELS = Object.keys(pino.levels.values);
export const levelOf = (name: string | undefined): number => pino.levels.values[name ?? "trace"] ?? 0;

const UNITS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 };

/** `10m` before `now`, or a time as ISO 8601. @returns ms since 1970 @throws Misuse */
export function sinceOf(text: string | undefined, now: number): number {
  if (text === undefined) return 0;
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const ago = UNITS[unit ?? ""];
  if (count !== undefined && ago !== undefined) return now - Number(count) * ago;
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time))
    throw new Misuse(`${text} is no time.`, "Write it like 90s, 10m, 2h, 3d or 2026-11-25T12:00:00Z.");
  return time;
}
