import { Unavailable } from "../../lib/errors.ts";

/** Runs at most `concurrency` pieces of work at once; up to `queue` more wait their turn, in order. */
export class Limiter {
  readonly #concurrency: number;
  readonly #queue: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limits: { concurrency: number; queue: number }) {
    this.#concurrency = limits.concurrency;
    this.#queue = limits.queue;
  }

  /** @throws Unavailable at once, if the queue is full */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#concurrency) this.#running++;
    else if (this.#waiting.length >= this.#queue) throw new Unavailable({ retry_after: 2 });
    // Who ends hands its place over, so nobody slips in between.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
