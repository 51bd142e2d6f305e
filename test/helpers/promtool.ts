import { spawnSync } from "node:child_process";

/**
 * Whether this machine has promtool. Says loudly if it hasn't.
 * @throws Error for a missing one, if REQUIRE_SERVERS=1
 */
export function havePromtool(): boolean {
  if (spawnSync("promtool", ["--version"]).status === 0) return true;
  const message = "NOT TESTED, since promtool is not on the PATH: apt-get install prometheus\n";
  if (process.env.REQUIRE_SERVERS === "1") throw new Error(message);
  process.stderr.write(`\n*** ${message}\n`);
  return false;
}

/** Runs promtool. @returns its exit code and all that it wrote */
export function promtool(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
  return { status, output: stdout + stderr };
}
