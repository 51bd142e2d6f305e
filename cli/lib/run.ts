import { AsyncLocalStorage } from "node:async_hooks";
import { CliError, EXIT } from "./errors.ts";
import { createIo, type Io, type Streams } from "./io.ts";

/** Where a command runs and leaves its exit code: this process, unless it is told otherwise. */
export interface Surroundings extends Streams {
  exitCode?: number | string | null | undefined;
}

const surroundings = new AsyncLocalStorage<Surroundings>();

/** Has all that `work` runs by {@link run} run there: the tests go through every command in one process. */
export async function within<T>(where: Surroundings, work: () => Promise<T>): Promise<T> {
  return await surroundings.run(where, work);
}

/**
 * Runs an action and turns its end into the exit code; the one place that does. An action gives its code, or throws a
 * CliError for what the reader can mend; anything else is our bug.
 *
 * The first Ctrl-C asks the action to end, the second one doesn't ask.
 */
export async function run(options: { input?: boolean }, action: (io: Io) => Promise<number>): Promise<void> {
  const stop = new AbortController();
  const where = surroundings.getStore() ?? process;
  const io = createIo(where, stop.signal, options);
  const interrupt = () => {
    if (stop.signal.aborted) process.exit(EXIT.cancelled);
    // The terminal has written ^C, and its cursor stands behind it: where a screen is redrawn it must go back.
    if (io.terminal.isDrawn) io.stdout.write("\r\u001b[K");
    else if (io.canDraw) io.stderr.write("\n");
    stop.abort();
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  try {
    where.exitCode = await action(io);
  } catch (error) {
    where.exitCode = report(error, io);
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

const isAbort = (error: unknown) =>
  typeof error === "object" && error !== null && "name" in error && error.name === "AbortError";

/** Says what went wrong. @returns the exit code */
export function report(error: unknown, io: Pick<Io, "say" | "signal">): number {
  if (error instanceof CliError) {
    io.say(error.message);
    if (error.next !== undefined) io.say(error.next);
    return error.exitCode;
  }
  if (io.signal.aborted && isAbort(error)) {
    io.say("Cancelled.");
    return EXIT.cancelled;
  }
  io.say("This is a bug in molecart:");
  io.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.failed;
}
