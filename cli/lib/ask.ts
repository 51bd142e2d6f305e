import { createInterface, type Key } from "node:readline";
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
    prompt: hidden ? "" : question,
  });
  // Only now that the terminal's own echo is off: somebody may answer at once.
  if (hidden) io.stderr.write(question);
  lines.prompt();
  // Back from Ctrl-Z readline waits to be told to go on.
  lines.on("SIGCONT", () => {
    if (hidden) io.stderr.write(question);
    lines.prompt(true);
  });

  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // What was pasted behind the line answers the next question, maybe the one for a password: this one doesn't echo it.
  let rest = "";
  const keep = (_text: string, { sequence = "" }: Key) => {
    rest += sequence;
  };
  let isAnswered = false;
  lines.once("line", (line) => {
    isAnswered = true;
    resolve(line);
    lines.close();
    io.stdin.on("keypress", keep);
  });
  const cancel = () => reject(new Cancelled("Cancelled: nothing was done."));
  lines.once("SIGINT", cancel).once("close", cancel);
  io.signal.addEventListener("abort", cancel);
  try {
    return await promise;
  } finally {
    io.signal.removeEventListener("abort", cancel);
    io.stdin.off("keypress", keep);
    lines.close();
    if (rest !== "") io.stdin.unshift(rest.replace(/^\n/, ""));
    // An answer that is shown has ended its line.
    if (hidden || !isAnswered) io.stderr.write("\n");
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
