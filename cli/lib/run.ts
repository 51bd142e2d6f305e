import { CliError, EXIT } from "./errors.ts";
import { say } from "./output.ts";

/**
 * Runs an action and turns its end into the exit code; the one place that does. An action gives its code, or throws a
 * CliError for what the reader can mend; anything else is our bug.
 */
export async function run(action: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await action();
  } catch (error) {
    process.exitCode = error instanceof CliError ? error.exitCode : EXIT.failed;
    if (error instanceof CliError) {
      say(error.message);
      if (error.next !== undefined) say(error.next);
    } else {
      say("This is a bug in molecart:");
      say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  }
}
