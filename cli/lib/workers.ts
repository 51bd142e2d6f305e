import { Cancelled } from "./errors.ts";

/**
 * Runs `work` for 0 to `count` - 1, at most `concurrency` at once; each worker takes the next number that is left. After
 * `signal` nothing new is begun. The first failure ends all.
 * @param work also learns which of the workers it is, from 0
 */
export async function inParallel(
  count: number,
  concurrency: number,
  signal: AbortSignal,
  work: (index: number, worker: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async (_: unknown, id: number) => {
    while (next < count && !signal.aborted && !failed) {
      try {
        await work(next++, id);
      } catch (error) {
        // Ctrl-C while it waited for its turn: it did nothing.
        if (error instanceof Cancelled && signal.aborted) return;
        failed = true;
        throw error;
      }
    }
  };
  const all = await Promise.allSettled(Array.from({ length: Math.min(concurrency, count) }, worker));
  for (const one of all) if (one.status === "rejected") throw one.reason;
}
