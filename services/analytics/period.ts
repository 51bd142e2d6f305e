import { ValidationFailed } from "../../lib/errors.ts";

const DAY = 86_400_000;
/** Days a summary may span: a year and a day. */
const MAX_DAYS = 366;
const DEFAULT_DAYS = 30;

export interface Period {
  /** Inclusive, both. */
  from: Date;
  to: Date;
}

/** A day, in UTC, or the part of it that a period covers. */
export interface Slice {
  /** `2026-11-20` */
  day: string;
  from: string;
  to: string;
}

/**
 * Reads the period that was asked for. A bare day means all of it; the default is the 30 days up to `to`, and up to now.
 * @throws ValidationFailed if a day doesn't exist, `from` is after `to`, or it is longer than 366 days
 */
export function periodOf(given: { from?: string; to?: string }, now: Date): Period {
  const to = given.to === undefined ? now : instantOf("/to", given.to, DAY - 1);
  const lastDay = Math.floor(to.getTime() / DAY) * DAY;
  const from =
    given.from === undefined
      ? new Date(lastDay - (DEFAULT_DAYS - 1) * DAY)
      : instantOf("/from", given.from, 0);
  if (from > to) throw refusal("/from", "must not be after the end of the period");
  const days = lastDay / DAY - Math.floor(from.getTime() / DAY) + 1;
  if (days > MAX_DAYS) throw refusal("/from", `the period must not be longer than ${MAX_DAYS} days`);
  return { from, to };
}

/** @param withinDay ms to add to a bare day */
function instantOf(path: string, text: string, withinDay: number): Date {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const instant = new Date(isDay ? `${text}T00:00:00.000Z` : text);
  // `2026-02-30` would silently be a day in March.
  const exists = !Number.isNaN(instant.getTime()) && (!isDay || dayOf(instant) === text);
  if (!exists) throw refusal(path, "is not a day or time that exists");
  return isDay ? new Date(instant.getTime() + withinDay) : instant;
}

function refusal(path: string, message: string): ValidationFailed {
  return new ValidationFailed({ violations: [{ path, message }] });
}

/** `2026-11-20`, in UTC. */
function dayOf(instant: Date): string {
  return instant.toISOString().slice(0, 10);
}

/** Each day of a period, in order. */
export function* slicesOf({ from, to }: Period): Generator<Slice> {
  const first = Math.floor(from.getTime() / DAY) * DAY;
  for (let start = first; start <= to.getTime(); start += DAY) {
    yield {
      day: dayOf(new Date(start)),
      from: new Date(Math.max(start, from.getTime())).toISOString(),
      to: new Date(Math.min(start + DAY - 1, to.getTime())).toISOString(),
    };
  }
}
