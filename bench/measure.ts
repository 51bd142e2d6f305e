import { setTimeout as delay } from "node:timers/promises";
import type { Round } from "./load.ts";

/** One side of a comparison. */
export interface Contender {
  name: string;
  run: (seconds: number) => Promise<Round>;
}

/** The medians of a contender's rounds, and all errors of all of them. */
export interface Figures extends Round {
  name: string;
  rounds: Round[];
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
  const measured = contenders.map((): Round[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [index, { name, run }] of contenders.entries()) {
      const result = await run(duration);
      measured[index]?.push(result);
      say(
        `  round ${round}: ${name} ${result.rate.toFixed(0)}/s${result.errors ? `, ${result.errors} errors` : ""}`,
      );
      await delay(SETTLE);
    }
  }
  return contenders.map(({ name }, index) => figuresOf(name, measured[index] ?? []));
}

function figuresOf(name: string, rounds: Round[]): Figures {
  const median = (of: (round: Round) => number) => {
    const sorted = rounds.map(of).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  };
  return {
    name,
    rate: median(({ rate }) => rate),
    p50: median(({ p50 }) => p50),
    p99: median(({ p99 }) => p99),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
    rounds,
  };
}
