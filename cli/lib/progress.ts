import type { Io } from "./io.ts";
import { duration, plural } from "./output.ts";

/** ms between two lines of progress where nothing is drawn. */
const EVERY = 1000;

export interface Progress {
  /** What is counted: `product`. */
  unit: string;
  done: number;
  /** Undefined where nobody knows. */
  total: number | undefined;
  /** A second, over the whole run; what was there before is not counted. */
  rate: number;
  /** Seconds, if it goes on like this. */
  left: number | undefined;
  /** What is waited for, if anything. */
  note: string | undefined;
}

/** Tells how far something has come: a bar in a terminal, a line now and then in a pipe, NDJSON with --json. */
export interface Meter {
  /** @param before of `done`, how many were there already */
  update(done: number, options?: { note?: string; before?: number }): void;
  end(): Promise<void>;
}

export async function openMeter(
  io: Io,
  options: { unit: string; total?: number; json?: boolean },
): Promise<Meter> {
  const started = performance.now();
  const screen = io.canDraw && !options.json ? await openBar(io) : undefined;
  let told = started;
  return {
    update(done, { note, before = 0 } = {}) {
      const now = performance.now();
      const isEnd = done === options.total;
      if (!screen && !isEnd && now - told < EVERY) return;
      told = now;
      const progress = progressOf(options.unit, done, options.total, before, (now - started) / 1000, note);
      if (screen) screen.show({ progress });
      else if (options.json) io.printLine({ type: "progress", ...progress });
      else io.say(progressLine(progress));
    },
    async end() {
      await screen?.end();
    },
  };
}

async function openBar(io: Io) {
  const { openScreen } = await import("../ui/screen.ts");
  const load = async () => (await import("../ui/progress-bar.ts")).ProgressBar;
  return await openScreen<{ progress: Progress | undefined }>(io, load, { progress: undefined });
}

/** @param seconds since the start */
export function progressOf(
  unit: string,
  done: number,
  total: number | undefined,
  before: number,
  seconds: number,
  note?: string,
): Progress {
  const rate = seconds > 0 ? (done - before) / seconds : 0;
  const left = total !== undefined && rate > 0 ? (total - done) / rate : undefined;
  return { unit, done, total, rate: Math.round(rate * 10) / 10, left, note };
}

/** `12,000 of 100,000 products, 5,300/s, 16 s left` */
export function progressLine({ unit, done, total, rate, left, note }: Progress): string {
  const count =
    total === undefined ? plural(done, unit) : `${done.toLocaleString("en-US")} of ${plural(total, unit)}`;
  return [
    count,
    `${rate.toLocaleString("en-US", { maximumFractionDigits: rate < 10 ? 1 : 0 })}/s`,
    ...(left !== undefined && done !== total ? [`${duration(left)} left`] : []),
    ...(note === undefined ? [] : [note]),
  ].join(", ");
}
