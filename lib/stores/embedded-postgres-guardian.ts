import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, realpath, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Cluster, nameForPostgres } from "./embedded-postgres-cluster.ts";

export interface Server {
  /** Stops Postgres and its guardian and waits for both. */
  stop(): Promise<void>;
}

/** Postgres ended before it was ready; `lines` is the end of what it said. */
export class StartFailure extends Error {
  readonly lines: string;
  constructor(lines: string) {
    super(
      `The embedded Postgres did not start: ${lines || "it said nothing"}\nMend that, or set DATABASE_URL.`,
    );
    this.lines = lines;
  }
}

/**
 * Blocks on its stdin, a pipe that only the shop holds, then stops Postgres: fast (SIGINT), after 10 s at once (SIGQUIT,
 * recovered at the next start). It asks again and again, since Postgres ignores signals until it has set its handlers up.
 * As the parent it can't hit a recycled pid. Its own stderr is closed so that the shop's end closes with Postgres's.
 */
const GUARDIAN = `
"$@" </dev/null &
postgres=$!
trap '' INT TERM HUP
exec 2>/dev/null
read -r line
n=0 signal=INT
while kill -s $signal $postgres; do
  sleep 0.02
  n=$((n + 1))
  [ $n -lt 500 ] || signal=QUIT
done
`;

const READY = "database system is ready to accept connections";
const KEPT_LINES = 10;

/**
 * Starts Postgres below a guardian, both outside the shop's process group (a Ctrl-C is the shop's alone) and without its
 * environment, and waits until it takes connections. Neither keeps the event loop alive.
 * @throws StartFailure
 */
export async function launch(
  options: Cluster & { flags: string[]; log: (line: string) => void; onEnd: () => void },
): Promise<Server> {
  const { programs, directory, user, environment, flags, log, onEnd } = options;
  const where = ["-D", nameForPostgres(options), "-c", markOf(directory)];
  const guardian = spawn(
    "/bin/sh",
    ["-c", GUARDIAN, "molecart-guardian", programs.postgres, ...where, ...flags],
    { ...user, env: environment, cwd: directory, detached: true, stdio: ["pipe", "ignore", "pipe"] },
  );
  const exited = once(guardian, "exit");
  exited.catch(() => {}); // reported by stop()
  let stopping = false;
  const stop = async () => {
    stopping = true;
    guardian.ref();
    guardian.stdin.destroy();
    await exited;
    await endOrphan(directory); // only if someone killed the guardian
  };

  let wasReady = false;
  const lines: string[] = [];
  const output = createInterface({ input: guardian.stderr });
  const ready = await new Promise<boolean>((resolve) => {
    output.on("line", (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
      log(line);
      if (!line.includes(READY)) return;
      wasReady = true;
      resolve(true);
    });
    output.once("close", () => {
      resolve(false);
      if (!stopping) {
        log("The embedded Postgres has ended.");
        if (wasReady) onEnd();
      }
      guardian.stdin.destroy(); // nothing left to guard
    });
  });
  if (!ready) {
    await stop();
    throw new StartFailure(lines.join("\n"));
  }
  guardian.unref();
  unref(guardian.stdin);
  unref(guardian.stderr);
  return { stop };
}

function unref(stream: Readable | Writable): void {
  if (stream instanceof Socket) stream.unref();
}

/**
 * Ends the postmaster that a dead shop left in `directory`, if there is one, and removes a postmaster.pid that names
 * no living postmaster of it: Postgres itself would take any process with that pid for one.
 * Call it only with the directory's lock held.
 */
export async function endOrphan(directory: string): Promise<void> {
  const started = performance.now();
  for (;;) {
    const pid = await readPostmasterPid(directory);
    if (pid === undefined) return;
    if (!(await isPostmaster(pid, directory))) {
      await rm(join(directory, "postmaster.pid"), { force: true });
      return;
    }
    const waited = performance.now() - started;
    if (waited > 20_000) {
      throw new Error(
        `The Postgres that an earlier shop left in ${directory} (process ${pid}) does not stop: end it by hand.`,
      );
    }
    signal(pid, waited > 10_000 ? "SIGQUIT" : "SIGINT");
    await sleep(10);
  }
}

/** The process id of the postmaster that serves `dataDir`, or undefined if none does. */
export async function postmasterPid(dataDir: string): Promise<number | undefined> {
  const directory = join(await realpath(dataDir), "postgres");
  const pid = await readPostmasterPid(directory);
  return pid !== undefined && (await isPostmaster(pid, directory)) ? pid : undefined;
}

async function readPostmasterPid(directory: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(join(directory, "postmaster.pid"), "utf8"), 10);
    return Number.isNaN(pid) ? 0 : pid;
  } catch {
    return undefined;
  }
}

/** Whether the process is a postmaster of this directory, and neither a recycled pid nor a zombie nobody reaps. */
async function isPostmaster(pid: number, directory: string): Promise<boolean> {
  const args = await commandLine(pid).catch(() => "");
  const isServer = args.includes("/postgres -D ") && !args.startsWith("/bin/sh ");
  return isServer && args.includes(` -c ${markOf(directory)} `);
}

/** A setting without effect, which tells in the process list whose directory a server serves. */
function markOf(directory: string): string {
  return `molecart.directory=${directory}`;
}

async function commandLine(pid: number): Promise<string> {
  if (process.platform === "linux")
    return (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
  return (await promisify(execFile)("ps", ["-ww", "-o", "args=", "-p", String(pid)])).stdout;
}

function signal(pid: number, name: "SIGINT" | "SIGQUIT"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It went meanwhile.
  }
}
