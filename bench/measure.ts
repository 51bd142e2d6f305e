import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Round } from "./load.ts";

/** One side of a comparison. */
export interface Contender {
  name: string;
  /** The processes whose time its answers cost. */
  pids?: readonly number[];
  run: (seconds: number) => Promise<Round>;
}

interface MeasuredRound extends Round {
  /** µs of CPU that the contender's processes took for each good answer; where Linux tells. */
  cpu?: number;
}

/** The medians of a contender's rounds, and all errors of all of them. */
export interface Figures extends MeasuredRound {
  name: string;
  rounds: MeasuredRound[];
}

export interface Timing {
  /** s that each contender is loaded before the first round counts. */
  warmup: number;
  /** s of a round. */
  duration: number;
  rounds: number;
}

/** ms between two rounds: what one has set going (events, jobs) shall not run into the next. */
const SETTLE = 500;

/** Measures all sides in turns, round by round: what slows the machine for a while slows every one of them. */
export async function compare(
  contenders: readonly Contender[],
  { warmup, duration, rounds }: Timing,
  say: (line: string) => void,
): Promise<Figures[]> {
  for (const { run } of contenders) {
    if (warmup > 0) await run(warmup);
    await delay(SETTLE);
  }
  const measured = contenders.map((): MeasuredRound[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [index, { name, run, pids = [] }] of contenders.entries()) {
      const before = await cpuOf(pids);
      const done = await run(duration);
      const cpu = ((await cpuOf(pids)) - before) / (done.rate * duration);
      const result = Number.isFinite(cpu) && cpu > 0 ? { ...done, cpu } : done;
      measured[index]?.push(result);
      say(
        `  round ${round}: ${name} ${result.rate.toFixed(0)}/s${result.errors ? `, ${result.errors} errors` : ""}`,
      );
      await delay(SETTLE);
    }
  }
  return contenders.map(({ name }, index) => figuresOf(name, measured[index] ?? []));
}

/** µs in one tick of /proc, which counts them 100 a second. */
const TICK = 10_000;

/** µs of CPU that the processes have taken so far, user and system; NaN where the system doesn't tell. */
async function cpuOf(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    // The second field is a name in brackets, which may hold blanks.
    const [user, system] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13);
    ticks += Number(user) + Number(system);
  }
  return ticks * TICK;
}

function figuresOf(name: string, rounds: MeasuredRound[]): Figures {
  const median = (of: (round: MeasuredRound) => number) => {
    const sorted = rounds.map(of).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  };
  const isCounted = rounds.every(({ cpu }) => cpu !== undefined);
  return {
    name,
    rate: median(({ rate }) => rate),
    p50: median(({ p50 }) => p50),
    p99: median(({ p99 }) => p99),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
    ...(isCounted ? { cpu: median(({ cpu = 0 }) => cpu) } : {}),
    rounds,
  };
}
