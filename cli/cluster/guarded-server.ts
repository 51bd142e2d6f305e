import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { startEmbeddedPostgres } from "../../lib/stores/embedded-postgres.ts";
import { postmasterPid } from "../../lib/stores/embedded-postgres-guardian.ts";
import { CliError } from "../lib/errors.ts";
import { accepts } from "./ports.ts";
import { type ProgramKind, SERVER_KINDS } from "./server-kinds.ts";

/** A server of the cluster's own. It keeps its port and its data when it is started again. */
export interface LocalServer {
  readonly name: "nats" | "redis" | "mongo" | "postgres";
  /** Null while it is down. */
  readonly pid: number | null;
  /** Starts it, unless it runs. @throws CliError */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** ms until it takes connections. */
const START = 10_000;

/**
 * Says the server's pid, and ends it with us, whatever becomes of us: its stdin is a pipe that only we hold. Its stderr is
 * closed, so that ours closes when the server is gone. A frozen server is woken, or it would not hear that it is to end.
 */
const GUARDIAN = `"$@" </dev/null >&2 & server=$!; exec 2>/dev/null; echo $server; read -r line; kill $server; kill -CONT $server; wait $server`;

interface Options {
  kind: ProgramKind;
  program: { name: string; path: string };
  port: number;
  /** Its data; made if it is missing. */
  directory: string;
  /** Told when it has ended without being asked to. */
  onEnd: (server: LocalServer) => void;
}

export function guardedServer({ kind, program, port, directory, onEnd }: Options): LocalServer {
  let running: { guardian: ChildProcess; pid: number; exited: Promise<unknown> } | undefined;
  const stop = async () => {
    const ending = running;
    running = undefined;
    ending?.guardian.stdin?.end();
    await ending?.exited;
  };
  const server: LocalServer = {
    name: kind,
    get pid() {
      return running?.pid ?? null;
    },
    stop,
    async start() {
      if (running) return;
      await mkdir(directory, { recursive: true });
      const command = [program.path, ...SERVER_KINDS[kind].args(program.name, port, directory)];
      const guardian = spawn("/bin/sh", ["-c", GUARDIAN, "molecart-guardian", ...command], {
        cwd: directory,
        // A group of its own: a Ctrl-C is ours, and the nodes end first.
        detached: true,
        stdio: ["pipe", "pipe", "pipe"],
      });
      const exited = once(guardian, "exit");
      const said: string[] = [];
      const output = createInterface({ input: guardian.stderr });
      output.on("line", (line) => {
        said.push(line);
        if (said.length > 3) said.shift();
      });
      const [line] = await once(createInterface({ input: guardian.stdout }), "line");
      const mine = { guardian, pid: Number(line), exited };
      running = mine;
      const ended = once(output, "close").then(() => {
        // Nothing is left to guard.
        guardian.stdin.end();
        if (running !== mine) return;
        running = undefined;
        onEnd(server);
      });
      const isUp = await Promise.race([accepts(port, START), ended.then(() => false)]);
      if (isUp) return;
      await stop();
      throw new CliError(`${program.name} does not start: ${said.join(" ").trim() || "it said nothing"}`);
    },
  };
  return server;
}

/** The Postgres that came along, as a server among the others. Its `url` is there once it was started. */
export function postgresServer(options: {
  dataDir: string;
  settings: Record<string, string>;
  onEnd: (server: LocalServer) => void;
}): LocalServer & { readonly url: string } {
  const { dataDir, settings, onEnd } = options;
  let running: { stop: () => Promise<void> } | undefined;
  let pid: number | null = null;
  let url = "";
  const server = {
    name: "postgres" as const,
    get pid() {
      return pid;
    },
    get url() {
      return url;
    },
    async start() {
      if (pid !== null) return;
      // What has ended by itself still holds its directory.
      await running?.stop();
      const port = url === "" ? {} : { port: Number(new URL(url).port) };
      const started = await startEmbeddedPostgres({
        dataDir,
        settings,
        ...port,
        onEnd: () => {
          pid = null;
          onEnd(server);
        },
      });
      running = started;
      url = started.url;
      pid = (await postmasterPid(dataDir)) ?? null;
    },
    async stop() {
      pid = null;
      await running?.stop();
      running = undefined;
    },
  };
  return server;
}
