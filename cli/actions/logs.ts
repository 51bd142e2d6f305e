import { resolve } from "node:path";
import { logDirectory } from "../../lib/log-file.ts";
import { LOG_LINE } from "../../lib/log-format.ts";
import { CliError, EXIT, Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { waited } from "../lib/patience.ts";
import { type NodeFiles, newestOf, nodesOf, type Position, readLines } from "../logs/log-files.ts";
import { type LogFilter, type LogLine, levelOf, passes, patternOf, sinceOf } from "../logs/log-lines.ts";

export interface LogsOptions {
  follow?: boolean;
  node?: string[];
  service?: string[];
  level?: string;
  grep?: string;
  since?: string;
  request?: string;
  tail?: number;
  json?: boolean;
  input?: boolean;
}

/** Lines that are shown where nothing else says how far back to go. */
const TAIL = 100;
/** s between two looks at the files. */
const EVERY = 0.25;

/** Shows what the nodes of this DATA_DIR have logged, together by time. @returns the exit code */
export async function logs(options: LogsOptions, io: Io): Promise<number> {
  const directory = logDirectory(resolve(io.env.DATA_DIR || ".data"));
  const filter: LogFilter = {
    nodes: options.node ?? [],
    services: options.service ?? [],
    level: levelOf(options.level),
    since: sinceOf(options.since, Date.now()),
    pattern: patternOf(options.grep),
    request: options.request,
  };
  const present = await nodesOf(directory);
  if (present.length === 0) {
    throw new CliError(`There are no logs in ${directory}.`, {
      next: "Set DATA_DIR to that of the shop (`npm start`, `npm run cluster`). Containers log to their standard output: docker compose logs, kubectl logs.",
    });
  }
  const stranger = filter.nodes.find((name) => !present.some(({ node }) => node === name));
  if (stranger !== undefined)
    throw new Misuse(
      `There is no log of ${stranger}.`,
      `There are ${present.map(({ node }) => node).join(", ")}.`,
    );

  const print = await printerOf(
    options,
    present.map(({ node }) => node),
    io,
  );
  let isEmpty = true;
  const show = async (line: LogLine) => {
    isEmpty = false;
    await print(line);
  };
  const wantsAll = options.since !== undefined || options.request !== undefined || options.grep !== undefined;
  const tail = options.tail ?? (wantsAll ? undefined : TAIL);
  const position: Position = new Map();
  if (tail === undefined)
    for await (const line of readLines(present, position)) {
      if (io.signal.aborted) return EXIT.ok;
      if (passes(line, filter)) await show(line);
    }
  else for (const line of await lastLines(present, tail, filter, position)) await show(line);
  while (options.follow && (await waited(EVERY, io.signal))) {
    for await (const line of readLines(await nodesOf(directory), position))
      if (passes(line, filter)) await show(line);
  }
  if (isEmpty && !options.json) io.say("No lines.");
  return EXIT.ok;
}

/** The last so many lines: of each node no more files are read than it takes. */
async function lastLines(
  nodes: readonly NodeFiles[],
  tail: number,
  filter: LogFilter,
  position: Position,
): Promise<LogLine[]> {
  const most = Math.max(...nodes.map(({ paths }) => paths.length));
  for (let depth = 1; ; depth++) {
    const last: LogLine[] = [];
    const found = new Map<string, number>();
    position.clear();
    for await (const line of readLines(await newestOf(nodes, depth, position), position)) {
      if (!passes(line, filter)) continue;
      found.set(line.node, (found.get(line.node) ?? 0) + 1);
      if (last.push(line) > tail) last.shift();
    }
    const isEnough = nodes.every(
      ({ node, paths }) => paths.length <= depth || (found.get(node) ?? 0) >= tail,
    );
    if (isEnough || depth >= most) return last;
  }
}

/** JSON as it stands in the files, or lines for people: the node's name before each where there are several. */
async function printerOf(
  options: LogsOptions,
  names: readonly string[],
  io: Io,
): Promise<(line: LogLine) => Promise<void>> {
  if (options.json) return async ({ text }) => await io.write(`${text}\n`);
  const { prettyFactory } = await import("pino-pretty");
  const pretty = prettyFactory({
    colorize: io.color,
    ...LOG_LINE,
    translateTime: "SYS:yyyy-mm-dd HH:MM:ss.l",
  });
  const width = Math.max(...names.map((name) => name.length));
  return async ({ node, text }) => {
    const shown = String(pretty(text)).trimEnd();
    await io.write(names.length > 1 ? `${node.padEnd(width)} | ${shown}\n` : `${shown}\n`);
  };
}
