import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ProgramKind, programOf, SERVER_KINDS } from "../../cli/cluster/server-kinds.ts";
import { freePort } from "./node-process.ts";

/** What each writes once it takes connections. */
const READY: Record<ProgramKind, RegExp> = {
  nats: /Server is ready/,
  redis: /Ready to accept connections/,
  mongo: /Waiting for connections|Listening on TCP/,
};

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

/**
 * Whether this machine has the servers. Says loudly which it lacks.
 * @throws Error for a missing one, if REQUIRE_SERVERS=1
 */
export function haveServers(...kinds: ProgramKind[]): boolean {
  const missing = kinds.filter((kind) => programOf(kind, process.env) === undefined);
  const lines = missing.map(
    (kind) => `  ${SERVER_KINDS[kind].programs.join(" or ")}: ${SERVER_KINDS[kind].install}`,
  );
  if (missing.length === 0) return true;
  const message = `NOT TESTED, since these servers are not on the PATH:\n${lines.join("\n")}\n`;
  if (process.env.REQUIRE_SERVERS === "1") throw new Error(message);
  process.stderr.write(`\n*** ${message}\n`);
  return false;
}

/** Whether what stands in for MongoDB here lets two who change one document at once both believe that they did. */
export const isFerret = programOf("mongo", process.env)?.name === "ferretdb";

/** Starts a server on a free port with no data. @param flags more command-line arguments */
export async function startServer(kind: ProgramKind, flags: readonly string[] = []): Promise<TestServer> {
  const program = programOf(kind, process.env);
  if (!program) throw new Error(`There is no ${SERVER_KINDS[kind].programs.join(" or ")} on the PATH.`);
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), `molecart-${kind}-`));
  const args = [...SERVER_KINDS[kind].args(program.name, port, directory), ...flags];
  let child: ChildProcess | undefined;
  const server: TestServer = {
    url: SERVER_KINDS[kind].url(port),
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
      child = await launch(program.path, args, READY[kind]);
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
