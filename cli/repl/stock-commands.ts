import { createRequire } from "node:module";
import type { ServiceBroker } from "moleculer";
import type { Io } from "../lib/io.ts";

/** The part of commander's Command that a REPL needs. moleculer-repl brings a commander of its own. */
export interface Program {
  exitOverride(): unknown;
  showHelpAfterError(is: boolean): unknown;
  showSuggestionAfterError(is: boolean): unknown;
  allowUnknownOption(is: boolean): unknown;
  configureOutput(output: { writeOut?: (text: string) => void; writeErr?: (text: string) => void }): unknown;
  command(name: string): { description(text: string): unknown };
  parseAsync(argv: readonly string[]): Promise<unknown>;
}

/** What `call` was given. */
export interface CallArgs {
  actionName: string;
  nodeID?: string;
  options: Record<string, unknown>;
  jsonParams?: string;
  meta?: string;
}
/** What `bench` was given. */
export interface BenchArgs {
  action: string;
  options: { num?: unknown; time?: unknown };
  jsonParams?: string;
}
type Handler<A> = (broker: ServiceBroker, args: A) => Promise<void>;
interface Commands {
  register(program: Program, broker: ServiceBroker): void;
}
interface Declared<A> extends Commands {
  declaration(program: Program, broker: ServiceBroker, handler: Handler<A>): void;
}

const load = createRequire(import.meta.url);
const loadTheirs = createRequire(load.resolve("moleculer-repl"));

/**
 * moleculer-repl's commands that a person may have. Left out are those that run code as a service (`load`, `loadFolder`,
 * `destroy`), that show secrets (`env`, `info`), and `exit`, which is ours.
 */
const EVERYWHERE = ["actions", "cls", "services"];
/** How a REPL reaches the shop: by its gateway, as a guest node of its cluster, or in the shop's own process. */
export type Reach = "rest" | "nats" | "local";

/** These want to know the nodes. */
const ON_A_NODE = ["events", "nodes"];
/** These act on a node of the shop past all permissions, or show what is in it. */
const AS_ADMIN = ["broadcast", "cache", "emit", "listener", "metrics"];

/** @param pipe where its own messages go, if not to a terminal */
export function newProgram(pipe: Pick<Io, "stdout" | "stderr"> | undefined): Program {
  const { Command }: { Command: new () => Program } = loadTheirs("commander");
  const program = new Command();
  program.exitOverride();
  program.allowUnknownOption(true);
  program.showHelpAfterError(false);
  program.showSuggestionAfterError(true);
  if (pipe) {
    program.configureOutput({
      writeOut: (text) => void pipe.stdout.write(text),
      // One line for what is wrong and what may have been meant.
      writeErr: (text) => void pipe.stderr.write(text.replace("\n(Did", " (Did")),
    });
  }
  return program;
}

export function addStockCommands(
  program: Program,
  broker: ServiceBroker,
  options: { reach: Reach; isAdmin: boolean; call?: Handler<CallArgs>; bench?: Handler<BenchArgs> },
): void {
  const { reach, isAdmin } = options;
  const names = [
    ...EVERYWHERE,
    ...(reach === "rest" ? [] : ON_A_NODE),
    ...(reach === "local" && isAdmin ? AS_ADMIN : []),
  ];
  for (const name of names) {
    const commands: Commands = loadTheirs(`moleculer-repl/src/commands/${name}.js`);
    commands.register(program, broker);
  }
  const call: Declared<CallArgs> = loadTheirs("moleculer-repl/src/commands/call.js");
  if (options.call) call.declaration(program, broker, options.call);
  else call.register(program, broker);
  const bench: Declared<BenchArgs> = loadTheirs("moleculer-repl/src/commands/bench.js");
  if (options.bench) bench.declaration(program, broker, options.bench);
  else bench.register(program, broker);
}

/** Splits a line into words as a shell does. */
export function wordsOf(line: string): string[] {
  const { parseArgsStringToArgv }: { parseArgsStringToArgv: (text: string) => string[] } =
    loadTheirs("string-argv");
  return parseArgsStringToArgv(line);
}

/** What Tab offers. */
export function completionsOf(line: string, broker: ServiceBroker, program: Program): [string[], string] {
  const {
    autocompleteHandler,
  }: {
    autocompleteHandler: (line: string, broker: ServiceBroker, program: Program) => [string[], string];
  } = loadTheirs("moleculer-repl/src/autocomplete.js");
  return autocompleteHandler(line, broker, program);
}

/** `--id 5 --tags[] a` as params: what starts with # or $ is none. */
export function paramsOf({ options, jsonParams }: Pick<CallArgs, "options" | "jsonParams">): unknown {
  if (jsonParams !== undefined) return JSON.parse(jsonParams);
  const { convertArgs }: { convertArgs: (args: object) => Record<string, unknown> } = loadTheirs(
    "moleculer-repl/src/utils.js",
  );
  const given = Object.entries(convertArgs(options)).filter(([key]) => !/^[#$]/.test(key));
  return Object.fromEntries(given.map(([key, value]) => [key.replace(/^@/, ""), value]));
}

/** `--#idempotencyKey k` as meta. */
export function metaOf({ options, meta }: Pick<CallArgs, "options" | "meta">): Record<string, unknown> {
  if (meta !== undefined) return JSON.parse(meta);
  const given = Object.entries(options).filter(([key]) => key.startsWith("#"));
  return Object.fromEntries(given.map(([key, value]) => [key.slice(1), value]));
}
