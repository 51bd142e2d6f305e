import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { Cancelled, Misuse } from "./errors.ts";
import type { Io } from "./io.ts";

/** Asks for a line, on stderr: stdout is for data. @throws Cancelled at Ctrl-C and at the end of the input */
export async function ask(io: Io, question: string, { hidden = false } = {}): Promise<string> {
  // readline echoes what is typed to its output: for a password there is none.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({
    input: io.stdin,
    output: hidden ? silent : io.stderr,
    terminal: true,
    ...(hidden ? {} : { prompt: question }),
  });
  // Only now: who answers at once would be echoed by the terminal itself.
  io.stderr.write(question);
  const stop = new AbortController();
  lines.once("SIGINT", () => stop.abort()).once("close", () => stop.abort());
  try {
    return await lines.question(hidden ? "" : `\r${question}`, {
      signal: AbortSignal.any([io.signal, stop.signal]),
    });
  } catch {
    throw new Cancelled("Cancelled: nothing was done.");
  } finally {
    lines.close();
    if (hidden) io.stderr.write("\n");
  }
}

/**
 * Makes sure that a change is meant.
 * @throws Misuse where nobody can be asked and `--yes` was not given; Cancelled at a no
 */
export async function confirm(io: Io, question: string, { yes = false }: { yes?: boolean }): Promise<void> {
  if (yes) return;
  if (!io.canAsk) throw new Misuse(`Not done without a yes: ${question}`, "Say it with --yes.");
  const answer = await ask(io, `${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Cancelled("Cancelled: nothing was done.");
}
