import { type AddHelpTextContext, type Command, InvalidArgumentError } from "commander";

/** What every command that talks to a shop takes. */
export interface CommonOptions {
  url?: string;
  profile?: string;
  json?: boolean;
  /** False for `--no-input`. */
  input?: boolean;
}

export function talksToShop(command: Command): Command {
  return command
    .option("--url <url>", "the shop (default: MOLECART_URL, the last login's, else this machine at PORT)")
    .option("--profile <name>", "the login to use (MOLECART_PROFILE)")
    .option("--json", "print JSON, one value a line where there are several in time")
    .option("--no-input", "ask nothing");
}

/** A command that changes something. */
export interface ChangeOptions extends CommonOptions {
  yes?: boolean;
  dryRun?: boolean;
}

export function changesThings(command: Command): Command {
  return talksToShop(command).option("--dry-run", "say what would be done, and do nothing");
}

/** A command whose change can't be taken back. */
export function asksFirst(command: Command): Command {
  return changesThings(command).option("-y, --yes", "don't ask");
}

/** `"\nExamples:\n  $ molecart …"`; a line that has `molecart` in its midst stays as it is. */
export function examples(...lines: string[]): string {
  const whole = (line: string) => (/(^| )molecart /.test(line) ? line : `molecart ${line}`);
  return `\nExamples:\n${lines.map((line) => `  $ ${whole(line)}`).join("\n")}`;
}

/** What else a help says, wrapped to the terminal, a blank line before it. */
export function prose(text: string) {
  return ({ command }: AddHelpTextContext): string => {
    const { getOutHelpWidth } = command.configureOutput();
    return `\n${command.createHelp().boxWrap(text, getOutHelpWidth?.() ?? 80)}`;
  };
}

/** A parser of whole numbers for an option. */
export function whole(min: number, max = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(
        max === Number.MAX_SAFE_INTEGER
          ? `It must be a whole number from ${min}.`
          : `It must be a whole number from ${min} to ${max}.`,
      );
    }
    return value;
  };
}

/** A parser of amounts: 29.99 */
export function amount(text: string): number {
  if (!/^\d{1,9}(\.\d{1,2})?$/.test(text)) throw new InvalidArgumentError("It must be an amount like 29.99.");
  return Number(text);
}

/** A parser of Idempotency-Keys, as the shop takes them. */
export function idempotencyKey(text: string): string {
  if (!/^[!-~]{1,255}$/.test(text)) throw new InvalidArgumentError("It must be 1 to 255 letters of ASCII.");
  return text;
}

/** Gathers an option that may stand several times. */
export function several(value: string, before: string[] = []): string[] {
  return [...before, value];
}
