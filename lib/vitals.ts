import { monitorEventLoopDelay } from "node:perf_hooks";

/** ms of a period: figures are of the last one to two. */
export const PERIOD = 5_000;
/** ms between two looks at the event loop's delay; a timer that is on time is late by nothing. */
const RESOLUTION = 20;

interface Mark {
  at: number;
  cpu: NodeJS.CpuUsage;
}

/** How this process is: its share of a core, and how long its event loop lets a timer wait. Reading changes nothing. */
export class Vitals {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  #lastLag = 0;
  #marks: [Mark, Mark];

  constructor() {
    this.#marks = [mark(), mark()];
    this.#delay.enable();
  }

  /** Ends a period. */
  turn(): void {
    this.#lastLag = this.#lag();
    this.#delay.reset();
    this.#marks = [this.#marks[1], mark()];
  }

  stop(): void {
    this.#delay.disable();
  }

  #lag(): number {
    // Without a sample yet it is NaN; it holds what the timer itself took.
    const ms = this.#delay.percentile(99) / 1e6 - RESOLUTION;
    return Number.isFinite(ms) ? Math.max(0, ms) : 0;
  }

  /** ms by which a timer was late, at the worst 1 % of the looks. */
  get eventLoopLag(): number {
    return round(Math.max(this.#lastLag, this.#lag()));
  }

  /** Percent of one core; more than 100 where several threads were busy. */
  get cpu(): number {
    const [since] = this.#marks;
    const { user, system } = process.cpuUsage(since.cpu);
    return round(((user + system) / 1000 / Math.max(1, performance.now() - since.at)) * 100);
  }

  /** Bytes. */
  get rss(): number {
    return process.memoryUsage.rss();
  }
}

const mark = (): Mark => ({ at: performance.now(), cpu: process.cpuUsage() });
const round = (value: number) => Math.round(value * 10) / 10;
