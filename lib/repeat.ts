/**
 * Runs `work` every `ms` milliseconds, never twice at once; a run that fails is told to `onError` and the next one
 * comes as usual.
 * @returns stops it, and waits for the run under way
 */
export function repeat(
  ms: number,
  work: () => Promise<unknown>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let running: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    running ??= work()
      .catch(onError)
      .finally(() => {
        running = undefined;
      });
  }, ms);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}
