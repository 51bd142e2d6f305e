/** ms before a failed run is tried again; doubles with each failure in a row, up to the period. */
const FIRST_RETRY = 50;
/** ms, the same for work without a period. */
const LAST_RETRY = 5_000;

interface RepeatOptions {
  /** @param stop is aborted when it is to end: for work that goes on in rounds */
  work: (stop: AbortSignal) => Promise<unknown>;
  /** ms between the end of a run and the next; without it, one run that succeeds is all. */
  every?: number;
  /** ms before the first run; default: at once */
  after?: number;
  /** @param retryIn ms until it is tried again */
  failed: (error: unknown, retryIn: number) => void;
}

/**
 * Work that a service does beside its requests: now and then, never twice at once, and again soon where it failed.
 * @returns stops it, and waits for the run under way
 */
export function repeat({ work, every, after = 0, failed }: RepeatOptions): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let failures = 0;
  const stop = new AbortController();
  const { signal } = stop;

  const run = async (): Promise<void> => {
    let next = every;
    try {
      await work(signal);
      failures = 0;
    } catch (error) {
      next = Math.min(FIRST_RETRY * 2 ** failures++, every ?? LAST_RETRY);
      if (!signal.aborted) failed(error, next);
    }
    if (next !== undefined && !signal.aborted) schedule(next);
  };
  const start = () => {
    running = run();
  };
  const schedule = (ms: number) => {
    timer = setTimeout(start, ms).unref();
  };

  if (after === 0) start();
  else schedule(after);
  return async () => {
    stop.abort();
    clearTimeout(timer);
    await running;
  };
}
