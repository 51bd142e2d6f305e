import { spawn } from "node:child_process";
import { once } from "node:events";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { type REPLServer, start } from "node:repl";
import type { ServiceBroker } from "moleculer";
import type { Meta } from "../../lib/meta.ts";
import { codeOf, EXIT, messageOf } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { type Guard, guardBroker } from "./guard.ts";
import { benchPlainly, callPlainly, isList, printList, printShopsNodes } from "./pipe-commands.ts";
import {
  addStockCommands,
  completionsOf,
  newProgram,
  type Program,
  type Reach,
  wordsOf,
} from "./stock-commands.ts";

export interface ReplOptions {
  broker: ServiceBroker;
  /** Goes with each call, and says whose it is. */
  identify: () => Promise<Pick<Meta, "user" | "accessToken">>;
  /** Who that is, for whoami. */
  says: string;
  reach: Reach;
  isAdmin: boolean;
  /** No prompt, and JSON where there is any. */
  json?: boolean;
  /** What molecart's own commands run with, so that they come to the same shop as the same person. */
  env: NodeJS.ProcessEnv;
}

/** The CLI's commands that are here too, by the name they have here. */
const OWN: Record<string, [command: string, says: string]> = {
  seed: ["seed", "fill the shop with made-up products, users and orders"],
  order: ["order", "place, list, show, watch, pay, ship, cancel, refund; flow"],
  stock: ["stock", "list, show, set, import and export what is on hand"],
  saga: ["sagas", "list, show and redrive checkouts under way or parked"],
  verify: ["verify", "prove that nothing was oversold, lost or charged twice"],
};
const LEAVE = ["exit", "quit", "q", ".exit"];
const MOLECART = resolve(import.meta.dirname, "../bin.js");
/** What commander throws after it has said all there is to say. */
const NO_FAILURES = ["commander.help", "commander.helpDisplayed"];

/**
 * Takes commands until its input ends: from a terminal with a prompt, from a pipe line by line, each after the one before.
 * @returns 0, or 1 if a command of a pipe failed
 */
export async function runRepl(options: ReplOptions, io: Io): Promise<number> {
  const guard = guardBroker(options.broker, options.identify);
  const program = programOf(guard, options, isTerminal(options, io) ? undefined : io);
  return isTerminal(options, io)
    ? await fromTerminal(guard, program, options, io)
    : await fromPipe(guard, program, options, io);
}

const isTerminal = ({ json }: ReplOptions, io: Io) => io.stdin.isTTY === true && io.canDraw && !json;

function programOf(guard: Guard, { reach, isAdmin }: ReplOptions, pipe: Io | undefined): Program {
  const program = newProgram(pipe);
  const { broker } = guard;
  addStockCommands(program, broker, {
    ...{ reach, isAdmin },
    ...(pipe
      ? {
          call: (_, args) => callPlainly(broker, args, pipe),
          bench: (_, args) => benchPlainly(broker, args, pipe),
        }
      : {}),
  });
  // Never run by commander, which would take their options for its own: for the help and for Tab.
  for (const [name, [, says]] of Object.entries(OWN)) program.command(name).description(says);
  if (reach === "rest") program.command("nodes").description("List of nodes, as the gateway sees them");
  program.command("whoami").description("who you are here");
  program.command("exit").description("leave");
  return program;
}

/** Runs one line. @returns false if it failed */
async function runLine(line: string, guard: Guard, program: Program, options: ReplOptions, io: Io) {
  const words = wordsOf(line);
  const [name = "", ...rest] = words;
  const before = guard.failures();
  try {
    const own = OWN[name];
    if (own) return await runOwn([own[0], ...rest, ...(options.json ? ["--json"] : [])], options.env, io);
    const isPipe = !isTerminal(options, io);
    if (name === "whoami") {
      if (isPipe) io.printLine({ you: options.says });
      else io.print(options.says);
      return true;
    }
    if (name === "nodes" && options.reach === "rest") return await printShopsNodes(guard.broker, isPipe, io);
    if (isPipe && isList(name, options.reach) && rest.length === 0) {
      printList(name, options.broker, io);
      return true;
    }
    await program.parseAsync(["node", "molecart repl", ...words]);
  } catch (error) {
    const code = String(codeOf(error));
    if (NO_FAILURES.includes(code)) return true;
    if (!code.startsWith("commander.")) io.say(messageOf(error));
    return false;
  }
  return guard.failures() === before;
}

/** In a process of its own: its screens and questions have the terminal to themselves. */
async function runOwn(args: readonly string[], env: NodeJS.ProcessEnv, io: Io): Promise<boolean> {
  const child = spawn(process.execPath, [MOLECART, ...args], {
    env,
    // The rest of a pipe is our commands, and not the child's input.
    stdio: [io.stdin.isTTY ? "inherit" : "ignore", "inherit", "inherit"],
  });
  const [code] = await once(child, "exit");
  return code === EXIT.ok;
}

async function fromPipe(guard: Guard, program: Program, options: ReplOptions, io: Io): Promise<number> {
  let failed = false;
  for await (const line of createInterface({ input: io.stdin })) {
    if (io.signal.aborted) return EXIT.cancelled;
    const text = line.trim();
    if (text === "" || text.startsWith("#")) continue;
    if (LEAVE.includes(text)) break;
    if (!(await runLine(text, guard, program, options, io))) failed = true;
  }
  return failed ? EXIT.failed : EXIT.ok;
}

async function fromTerminal(guard: Guard, program: Program, options: ReplOptions, io: Io): Promise<number> {
  let last = Promise.resolve();
  const server: REPLServer = start({
    prompt: "molecart $ ",
    completer: (line: string) => completionsOf(line, guard.broker, program),
    eval: (line, _context, _file, done) => {
      // Lines that are pasted come at once; each is run after the one before.
      last = last.then(() => evaluate(line));
      void last.then(() => done(null, undefined));
    },
    ignoreUndefined: true,
  });
  const evaluate = async (line: string) => {
    const text = line.trim();
    if (text === "") return;
    if (LEAVE.includes(text)) return server.close();
    const isOwn = Object.hasOwn(OWN, text.split(/\s/)[0] ?? "");
    if (!isOwn) return void (await runLine(text, guard, program, options, io));
    server.pause();
    io.stdin.setRawMode?.(false);
    try {
      await undisturbed(() => runLine(text, guard, program, options, io));
    } finally {
      io.stdin.setRawMode?.(true);
      server.resume();
    }
  };
  server.setupHistory(join(io.env.HOME || homedir(), ".molecart_repl_history"), () => undefined);
  await once(server, "exit");
  return EXIT.ok;
}

/** The terminal is a child's meanwhile: its keys, and its Ctrl-C, which must end neither the REPL nor the shop. */
async function undisturbed<T>(work: () => Promise<T>): Promise<T> {
  const listeners = process.listeners("SIGINT");
  const ignore = () => undefined;
  process.removeAllListeners("SIGINT").on("SIGINT", ignore);
  try {
    return await work();
  } finally {
    process.off("SIGINT", ignore);
    for (const listener of listeners) process.on("SIGINT", listener);
  }
}

/** What molecart's own commands run with: the same shop, and the same login or none. */
export function ownEnv(
  url: string,
  { guest, profile }: { guest?: boolean; profile?: string },
  env: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const { ADMIN_EMAIL, ADMIN_PASSWORD, MOLECART_PROFILE, ...rest } = env;
  if (guest) return { ...rest, MOLECART_URL: url, DATA_DIR: "/nonexistent", XDG_CONFIG_HOME: "/nonexistent" };
  const named = profile || MOLECART_PROFILE;
  return {
    ...rest,
    ...(ADMIN_EMAIL === undefined ? {} : { ADMIN_EMAIL }),
    ...(ADMIN_PASSWORD === undefined ? {} : { ADMIN_PASSWORD }),
    ...(named ? { MOLECART_PROFILE: named } : { MOLECART_URL: url }),
  };
}
