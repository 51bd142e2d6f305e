import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { createIo, type Io } from "../../cli/lib/io.ts";
import { report } from "../../cli/lib/run.ts";
import { ADMIN } from "../helpers/env.ts";

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  /** stdout as one JSON value. */
  json: () => unknown;
  /** stdout as NDJSON. */
  lines: () => unknown[];
}

export interface Around {
  env?: Record<string, string>;
  /** What comes on stdin; nobody is there without it. */
  input?: string;
  signal?: AbortSignal;
  /** Is told all that stands on stdout, whenever something comes. */
  seen?: (stdout: string) => void;
}

/** Runs an action in this process as `run` does, without a terminal. */
export async function act(action: (io: Io) => Promise<number>, around: Around = {}): Promise<Ran> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const chunks = { stdout: "", stderr: "" };
  stdout.on("data", (chunk: Buffer) => {
    chunks.stdout += chunk.toString();
    around.seen?.(chunks.stdout);
  });
  stderr.on("data", (chunk: Buffer) => (chunks.stderr += chunk.toString()));
  stdin.end(around.input ?? "");
  const env = { XDG_CONFIG_HOME: "/nonexistent", DATA_DIR: "/nonexistent", ...around.env };
  const io = createIo({ env, stdin, stdout, stderr }, around.signal ?? new AbortController().signal);
  let code: number;
  try {
    code = await action(io);
  } catch (error) {
    code = report(error, io);
  }
  return {
    code,
    ...chunks,
    json: () => JSON.parse(chunks.stdout),
    lines: () =>
      chunks.stdout
        .trimEnd()
        .split("\n")
        .map((line): unknown => JSON.parse(line)),
  };
}

/** An environment that logs in to a shop as its admin. */
export function adminOf({ url }: { url: string }): Record<string, string> {
  return { MOLECART_URL: url, ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password };
}

/** A directory for one test, gone after it. */
export async function withDirectory<T>(work: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), "molecart-cli-"));
  try {
    return await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** A frame without colours, its lines without the blanks at their end. */
export const plain = (frame: string | undefined) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are
  (frame ?? "").replace(/\u001b\[[0-9;]*m/g, "").replace(/ +$/gm, "");
