import { existsSync } from "node:fs";
import { mkdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CliError } from "../cli/lib/errors.ts";

const ROOT = "/sys/fs/cgroup";
/** µs over which a share is counted: as short as Linux allows a quota of some percent to be. */
const PERIOD = 20_000;

/**
 * Gives each of these processes no more than a share of one core, as a container's CPU limit does: by a cgroup of its own,
 * of version 2 or 1.
 * @param percent of one core
 * @returns what takes the limits away again, once the processes have ended
 * @throws CliError where cgroups can't be written
 */
export async function confine(pids: readonly number[], percent: number): Promise<() => Promise<void>> {
  const isUnified = existsSync(join(ROOT, "cgroup.controllers"));
  const parent = isUnified ? ROOT : join(ROOT, "cpu");
  const quota = (PERIOD * percent) / 100;
  const groups = pids.map((pid) => ({ pid, path: join(parent, `molecart-bench-${pid}`) }));
  try {
    if (isUnified) await writeFile(join(ROOT, "cgroup.subtree_control"), "+cpu");
    for (const { pid, path } of groups) {
      await mkdir(path);
      if (isUnified) await writeFile(join(path, "cpu.max"), `${quota} ${PERIOD}`);
      else {
        await writeFile(join(path, "cpu.cfs_period_us"), String(PERIOD));
        await writeFile(join(path, "cpu.cfs_quota_us"), String(quota));
      }
      await writeFile(join(path, "cgroup.procs"), String(pid));
    }
  } catch {
    throw new CliError("The nodes' share of a core can't be set.", {
      next: "Run it as root on Linux with cgroups, or without --node-cpu.",
    });
  }
  return async () => {
    for (const { path } of groups) await rmdir(path).catch(() => undefined);
  };
}
