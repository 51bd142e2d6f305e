import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { CliError, codeOf } from "../lib/errors.ts";

interface Process {
  ppid: number;
  /** Its command line. */
  args: string;
}

/** Every process of this machine that can be seen. */
export async function listProcesses(): Promise<Map<number, Process>> {
  return process.platform === "linux" ? await fromProc() : await fromPs();
}

async function fromProc(): Promise<Map<number, Process>> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const all = await Promise.all(pids.map(async (pid) => [pid, await oneOfProc(pid)] as const));
  return new Map(all.flatMap(([pid, one]) => (one ? [[pid, one]] : [])));
}

async function oneOfProc(pid: number): Promise<Process | undefined> {
  try {
    const [stat, args] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/cmdline`, "utf8"),
    ]);
    // The name, in brackets, may hold anything; what follows it doesn't: state, ppid.
    const [, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { ppid: Number(ppid), args: args.replaceAll("\0", " ").trim() };
  } catch {
    // It went meanwhile.
    return undefined;
  }
}

async function fromPs(): Promise<Map<number, Process>> {
  const { stdout } = await promisify(execFile)("ps", ["-axww", "-o", "pid=,ppid=,args="], {
    maxBuffer: 32e6,
  });
  const rows = stdout.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line);
    return match ? [[Number(match[1]), { ppid: Number(match[2]), args: match[3] ?? "" }] as const] : [];
  });
  return new Map(rows);
}

/** Whether `pid` was started by `ancestor`, or by what that started: the kernel knows, and no file can claim it. */
export function isBelow(processes: ReadonlyMap<number, Process>, pid: number, ancestor: number): boolean {
  for (let at = processes.get(pid)?.ppid; at !== undefined && at > 1; at = processes.get(at)?.ppid) {
    if (at === ancestor) return true;
  }
  return false;
}

/** Those that `pid` started, and what they started. */
export function below(processes: ReadonlyMap<number, Process>, pid: number): number[] {
  return [...processes.keys()].filter((one) => isBelow(processes, one, pid));
}

/** @throws CliError if it is gone */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
    throw new CliError(`The process ${pid} is gone already.`);
  }
}

/** Wakes it once the pipe on its stdin closes: by us, or because we died. */
const FREEZER = 'kill -STOP "$1" || exit 1; echo frozen; read -r line; kill -CONT "$1"';

/**
 * Stops a process where it stands, until the function that is given back is called. If we are killed meanwhile, even by
 * -9, it goes on by itself.
 * @throws CliError if it is gone
 */
export async function freeze(pid: number): Promise<() => Promise<void>> {
  const freezer = spawn("/bin/sh", ["-c", FREEZER, "molecart-freezer", String(pid)], {
    // Not in our group: a Ctrl-C would end it before it has woken whom it froze.
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const exited = once(freezer, "exit");
  const first = await Promise.race([once(freezer.stdout, "data"), exited.then(() => undefined)]);
  if (!first) throw new CliError(`The process ${pid} is gone already.`);
  return async () => {
    freezer.stdin.end();
    await exited;
  };
}
