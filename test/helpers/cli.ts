import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

export interface Run {
  code: number | null;
  stdout: string;
  stderr: string;
  /** ms */
  took: number;
}

/** Runs `molecart` as a user does, in a process of its own, with nothing of the test's environment but PATH. */
export function molecart(
  args: readonly string[],
  env: Record<string, string> = {},
  nodeOptions: readonly string[] = [],
  /** Ends it as `kill -9` does. */
  kill?: AbortSignal,
): Promise<Run> {
  return runNode([...nodeOptions, "cli/bin.js", ...args], env, kill);
}

/** Runs command lines of `molecart` one after the other, with the process and its start shared. */
export async function molecartEach(
  lines: readonly (readonly string[])[],
  env: Record<string, string> = {},
): Promise<Run[]> {
  const { code, stdout, stderr } = await runNode(["test/helpers/cli-batch.ts", JSON.stringify(lines)], env);
  if (code !== 0) throw new Error(`The command lines were not run: ${stderr}`);
  return JSON.parse(stdout);
}

async function runNode(
  args: readonly string[],
  env: Record<string, string>,
  kill?: AbortSignal,
): Promise<Run> {
  const started = performance.now();
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, args, {
    // No login of whoever runs the tests.
    env: { PATH, XDG_CONFIG_HOME: "/nonexistent", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  kill?.addEventListener("abort", () => child.kill("SIGKILL"));
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [code, stdout, stderr] = await Promise.all([closed, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr, took: performance.now() - started };
}
