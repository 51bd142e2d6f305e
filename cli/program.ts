import { Command, CommanderError } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { verifyCommand } from "./commands/verify.ts";
import { EXIT } from "./lib/errors.ts";
import { allowClosedPipe } from "./lib/output.ts";

/** Each parses one command and imports what it does only when it is run: `--help` must not wait for it. */
const COMMANDS = [verifyCommand];

/** Runs the command line and sets the exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("molecart")
    .description(packageJson.description)
    .version(packageJson.version)
    .showHelpAfterError("(add --help for what there is)")
    .exitOverride();
  for (const add of COMMANDS) add(program);
  allowClosedPipe();
  try {
    await program.parseAsync(argv);
  } catch (error) {
    // Commander has said what is wrong, or printed the help that was asked for.
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.misuse;
  }
}
