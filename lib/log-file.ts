import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type DestinationStream, destination } from "pino";
import type { Config } from "./config.ts";

/** Bytes of one file. */
const SIZE = 10_000_000;
/** Files of one node: the current one and the last few. */
const FILES = 5;
/** Bytes that wait where the disk takes none; what comes after them is lost. */
const HELD = 10_000_000;

/** What an embedded shop, which has no NODE_ID, is called. */
const ONLY_NODE = "shop";

/** Where the nodes of this DATA_DIR keep their logs: a directory each, of files `log.<n>.log`. */
export const logDirectory = (dataDir: string): string => join(dataDir, "logs");

/** The number of a log's file by its name. */
export function fileNumber(name: string): number | undefined {
  const number = /^log\.(\d+)\.log$/.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

/**
 * Opens this node's log file, if it has one (LOG_FILES): 50 MB at most, the oldest goes first. A line is written when it is
 * logged: a process that is killed has told what it knew. A disk that takes nothing costs the log, and not the shop.
 *
 * (pino-roll would do it too, and load all of date-fns for it: a quarter of a second of the start and 16 MB.)
 */
export function openLogFile(
  config: Pick<Config, "LOG_FILES" | "DATA_DIR" | "NODE_ID">,
): DestinationStream | undefined {
  if (!config.LOG_FILES) return undefined;
  const node = (config.NODE_ID || ONLY_NODE).replace(/[^\w-]/g, "_");
  const directory = join(logDirectory(config.DATA_DIR), node);
  const pathOf = (number: number) => join(directory, `log.${number}.log`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    let current = Math.max(1, ...numbersIn(directory));
    let size = statSync(pathOf(current), { throwIfNoEntry: false })?.size ?? 0;
    const stream = destination({ dest: pathOf(current), sync: true, mode: 0o600, maxLength: HELD });
    stream.on("error", () => undefined);
    return {
      write(line) {
        const length = Buffer.byteLength(line);
        if (size > 0 && size + length > SIZE) {
          size = 0;
          stream.reopen(pathOf(++current));
          for (const number of numbersIn(directory))
            if (number <= current - FILES) rmSync(pathOf(number), { force: true });
        }
        size += length;
        stream.write(line);
      },
    };
  } catch (error) {
    console.error(`No log is kept in ${directory}: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

function numbersIn(directory: string): number[] {
  return readdirSync(directory).flatMap((name) => fileNumber(name) ?? []);
}
