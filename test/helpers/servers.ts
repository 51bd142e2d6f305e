import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { freePort } from "./node-process.ts";

/** How a server that a cluster needs is run from the programs on this machine. */
interface Kind {
  /** Any of these, the first found on the PATH. */
  programs: readonly string[];
  /** How to come by it: said when it is missing. */
  install: string;
  args: (program: string, port: number, directory: string) => string[];
  /** What it writes once it takes connections. */
  ready: RegExp;
  url: (port: number) => string;
}

const KINDS = {
  nats: {
    programs: ["nats-server"],
    install: "apt-get install nats-server",
    args: (_program, port) => ["-a", "127.0.0.1", "-p", String(port)],
    ready: /Server is ready/,
    url: (port) => `nats://127.0.0.1:${port}`,
  },
  redis: {
    programs: ["redis-server"],
    install: "apt-get install redis-server",
    // What it acknowledged is there after a restart, as it must be for carts and sessions.
    args: (_program, port, directory) =>
      ["--bind 127.0.0.1", `--port ${port}`, `--dir ${directory}`, "--appendonly yes", "--appendfsync always"]
        .join(" ")
        .split(" "),
    ready: /Ready to accept connections/,
    url: (port) => `redis://127.0.0.1:${port}`,
  },
  mongo: {
    programs: ["mongod", "ferretdb"],
    install: "install mongod, or build FerretDB 1.24 with Go (docs/testing.md)",
    args: (program, port, directory) =>
      program === "mongod"
        ? ["--bind_ip", "127.0.0.1", "--port", String(port), "--dbpath", directory]
        : [
            "--handler=sqlite",
            `--sqlite-url=file:${directory}/`,
            `--state-dir=${directory}`,
            "--telemetry=disable",
            "--debug-addr=-",
            `--listen-addr=127.0.0.1:${port}`,
          ],
    ready: /Waiting for connections|Listening on TCP/,
    url: (port) => `mongodb://127.0.0.1:${port}/molecart`,
  },
} satisfies Record<string, Kind>;

export type ServerKind = keyof typeof KINDS;

/** A server of the test's own, on a port that stays the same when it is stopped and started again. */
export interface TestServer {
  url: string;
  port: number;
  process: () => ChildProcess;
  /** Ends it, and waits until it is gone. */
  stop: (signal?: NodeJS.Signals) => Promise<void>;
  /** Starts it on its port and its data. */
  start: () => Promise<void>;
  /** Ends it for good and forgets its data. */
  remove: () => Promise<void>;
}

/** The program on the PATH that runs this kind of server, or undefined. */
function programOf(kind: ServerKind): { name: string; path: string } | undefined {
  for (const name of KINDS[kind].programs) {
    for (const directory of (process.env.PATH ?? "").split(delimiter)) {
      const path = join(directory, name);
      try {
        accessSync(path, constants.X_OK);
        return { name, path };
      } catch {
        // Not here.
      }
    }
  }
  return undefined;
}

/**
 * Whether this machine has the servers. Says loudly which it lacks.
 * @throws Error for a missing one, if REQUIRE_SERVERS=1
 */
export function haveServers(...kinds: ServerKind[]): boolean {
  const missing = kinds.filter((kind) => programOf(kind) === undefined);
  const lines = missing.map((kind) => `  ${KINDS[kind].programs.join(" or ")}: ${KINDS[kind].install}`);
  if (missing.length === 0) return true;
  const message = `NOT TESTED, since these servers are not on the PATH:\n${lines.join("\n")}\n`;
  if (process.env.REQUIRE_SERVERS === "1") throw new Error(message);
  process.stderr.write(`\n*** ${message}\n`);
  return false;
}

/** Starts a server on a free port with no data. @param flags more command-line arguments */
export async function startServer(kind: ServerKind, flags: readonly string[] = []): Promise<TestServer> {
  const program = programOf(kind);
  if (!program) throw new Error(`There is no ${KINDS[kind].programs.join(" or ")} on the PATH.`);
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), `molecart-${kind}-`));
  const args = [...KINDS[kind].args(program.name, port, directory), ...flags];
  let child: ChildProcess | undefined;
  const server: TestServer = {
    url: KINDS[kind].url(port),
    port,
    process() {
      if (!child) throw new Error(`${kind} is stopped.`);
      return child;
    },
    async stop(signal = "SIGKILL") {
      const ending = child;
      child = undefined;
      if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
      const gone = once(ending, "exit");
      ending.kill(signal);
      await gone;
    },
    async start() {
      child = await launch(program.path, args, KINDS[kind].ready);
    },
    async remove() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

/** Resolves once the program wrote that it is ready. @throws with what it wrote, if it ends before */
async function launch(path: string, args: readonly string[], ready: RegExp): Promise<ChildProcess> {
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      if (ready.test(output)) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`${path} ended:\n${output}`)));
  });
  // Its log is read on, into nothing: a full pipe would stop the server.
  for (const stream of [child.stdout, child.stderr]) {
    stream.removeAllListeners("data");
    stream.resume();
  }
  child.removeAllListeners("exit");
  return child;
}
