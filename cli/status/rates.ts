import type { MinuteStatus, NodeStatus, ShopStatus } from "../../services/gateway/status.contract.ts";

/** Calls and faults a second; null until there are two looks to tell it from. */
export interface Rate {
  calls_per_s: number | null;
  errors_per_s: number | null;
}

/** By node, and there by service. */
export type Rates = ReadonlyMap<string, ReadonlyMap<string, Rate>>;

export const UNKNOWN: Rate = { calls_per_s: null, errors_per_s: null };

interface Counts {
  calls: number;
  errors: number;
}

interface Base {
  /** ms since 1970, by the gateway's clock */
  at: number;
  uptime: number;
  services: ReadonlyMap<string, Counts>;
}

/** ms after which an answer that is not newer than the last one counts all the same: of another gateway's clock. */
const STALE = 5_000;

/** Makes rates of counters that only grow, except where a process began anew. */
export class RateMeter {
  #bases = new Map<string, Base>();
  /** Of the last answer that was new: its time, and ours. */
  #last: { at: number; seen: number } | undefined;

  /**
   * @param now ms, of a clock that only goes forward
   * @returns undefined if the answer is no newer than the last: several screens, or one asked too early, share an answer
   */
  take(status: Pick<ShopStatus, "timestamp" | "nodes">, now = performance.now()): Rates | undefined {
    const at = Date.parse(status.timestamp);
    if (this.#last && at <= this.#last.at && now - this.#last.seen < STALE) return undefined;
    this.#last = { at, seen: now };
    const bases = new Map<string, Base>();
    const rates = new Map<string, ReadonlyMap<string, Rate>>();
    for (const node of status.nodes) {
      const before = this.#bases.get(node.id);
      // A node that is silent for a moment goes on counting: its next answer is held against its last.
      const base = baseOf(node, at) ?? before;
      if (base) bases.set(node.id, base);
      if (base && before && base !== before) rates.set(node.id, between(before, base));
    }
    this.#bases = bases;
    return rates;
  }
}

function baseOf({ figures, services }: NodeStatus, at: number): Base | undefined {
  if (!figures) return undefined;
  return {
    at,
    uptime: figures.uptime_s,
    services: new Map(services.map(({ name, calls, errors }) => [name, { calls, errors }])),
  };
}

function between(before: Base, now: Base): Map<string, Rate> {
  const seconds = (now.at - before.at) / 1000;
  const isNew = now.uptime < before.uptime;
  const rates = new Map<string, Rate>();
  for (const [name, counts] of now.services) {
    const last = before.services.get(name);
    if (seconds <= 0) rates.set(name, UNKNOWN);
    else {
      // Counted from nothing again: what there is has been counted since.
      const from = !last || isNew || counts.calls < last.calls ? { calls: 0, errors: 0 } : last;
      const span = isNew ? Math.min(seconds, Math.max(1, now.uptime)) : seconds;
      rates.set(name, {
        calls_per_s: (counts.calls - from.calls) / span,
        errors_per_s: Math.max(0, counts.errors - from.errors) / span,
      });
    }
  }
  return rates;
}

/** All of them together, as far as they are known. */
export function sumOf(rates: readonly (Rate | undefined)[]): Rate {
  const sum = (figure: keyof Rate) => {
    const known = rates.flatMap((rate) => (rate?.[figure] == null ? [] : [rate[figure]]));
    return known.length > 0 ? known.reduce((total, one) => total + one, 0) : null;
  };
  return { calls_per_s: sum("calls_per_s"), errors_per_s: sum("errors_per_s") };
}

/**
 * What came in within the last 60 s: the minute under way, and as much of the one before as still counts.
 * @param minutes the oldest first @param now ms since 1970
 */
export function lastMinute(
  minutes: readonly MinuteStatus[],
  figure: "orders" | "paid" | "revenue",
  now: number,
): number {
  const [before, current] = minutes.slice(-2);
  if (!current) return before?.[figure] ?? 0;
  const passed = Math.min(1, Math.max(0, (now - Date.parse(current.minute)) / 60_000));
  return current[figure] + (before?.[figure] ?? 0) * (1 - passed);
}
