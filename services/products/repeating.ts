/** ms before a failed run is tried again; doubles with each failure in a row, up to the period. */
const FIRST_RETRY = 50;

interface RepeatingOptions {
  work: () => Promise<void>;
  /** ms between the end of a run and the next; without it, one run that succeeds is all. */
  every?: number;
  /** @param retryIn ms until it is tried again */
  failed: (error: unknown, retryIn: number) => void;
}

/** Work that a service does beside its requests: at once, then now and then, and again soon where it failed. */
export class Repeating {
  readonly #options: RepeatingOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failures = 0;
  #stopped = false;

  constructor(options: RepeatingOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Waits for the run under way, and starts no other. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { work, every, failed } = this.#options;
    let next = every;
    try {
      await work();
      this.#failures = 0;
    } catch (error) {
      next = Math.min(FIRST_RETRY * 2 ** this.#failures++, every ?? 5_000);
      if (!this.#stopped) failed(error, next);
    }
    if (next === undefined || this.#stopped) return;
    this.#timer = setTimeout(() => this.start(), next);
    this.#timer.unref();
  }
}
