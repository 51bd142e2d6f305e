import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { EXIT } from "./errors.ts";
import { cleanLines, clip } from "./output.ts";

type Input = Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
type Output = Writable & { isTTY?: boolean; columns?: number };

/** What a command has to do with the world beside the shop. Tests give their own. */
export interface Io {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Whether somebody sits there who can answer, and `--no-input` was not given. */
  readonly canAsk: boolean;
  /** Whether stdout is a terminal that can be drawn upon. */
  readonly canDraw: boolean;
  /** What stands on it now, for all who share it. */
  readonly terminal: { isDrawn: boolean };
  /** Whether colours are welcome there. */
  readonly color: boolean;
  /** One line of data, to stdout. */
  print(line?: string): void;
  /** Rows of a table, to stdout: in a terminal cut to its width, in a pipe whole. */
  printRows(lines: readonly string[]): void;
  /** An answer as JSON for reading, to stdout. */
  printJson(value: unknown): void;
  /** One line of NDJSON, to stdout. */
  printLine(value: unknown): void;
  /** Data in any amount, to stdout: resolves when there is room for more. */
  write(text: string): Promise<void>;
  /** What is said about the data, to stderr. */
  say(line: string): void;
}

export interface Streams {
  env: NodeJS.ProcessEnv;
  stdin: Input;
  stdout: Output;
  stderr: Output;
}

export function createIo(
  { env, stdin, stdout, stderr }: Streams,
  signal: AbortSignal,
  options: { input?: boolean } = {},
): Io {
  const isTerminal = stdout.isTTY === true && env.TERM !== "dumb";
  // Names and errors come from the shop, and from whoever wrote them there.
  const print = (line = "") => void stdout.write(`${cleanLines(line)}\n`);
  return {
    env,
    stdin,
    stdout,
    stderr,
    signal,
    canAsk: options.input !== false && stdin.isTTY === true && stderr.isTTY === true,
    canDraw: isTerminal,
    terminal: { isDrawn: false },
    color: isTerminal && !env.NO_COLOR,
    print,
    printRows(lines) {
      for (const line of lines) print(isTerminal && stdout.columns ? clip(line, stdout.columns) : line);
    },
    printJson: (value) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    printLine: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    async write(text) {
      if (!stdout.write(text)) await once(stdout, "drain", { signal });
    },
    say: (line) => void stderr.write(`${cleanLines(line)}\n`),
  };
}

/** For work that Ctrl-C stops between two steps: a request that was begun is brought to its end. */
export function finishing(io: Io): Io {
  return { ...io, signal: new AbortController().signal };
}

/**
 * What becomes of output that nobody takes. `head` and `less` may close the pipe before everything is written: that is their
 * right, and no failure; a full disk is one.
 */
export function allowClosedPipe({ stdout, stderr }: Pick<Streams, "stdout" | "stderr">): void {
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    stderr.write(
      `Standard output can't be written (${error.code}).\nMake room there, or send it elsewhere.\n`,
    );
    process.exit(EXIT.failed);
  });
  // What is only said is lost, and the work goes on.
  stderr.on("error", () => undefined);
}
