import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** How a server is run from a program on this machine. */
interface Kind {
  /** What it is called in what we say. */
  title: string;
  /** Any of these, the first found on the PATH. */
  programs: readonly string[];
  /** How to come by it: said when it is missing. */
  install: string;
  args: (program: string, port: number, directory: string) => string[];
  url: (port: number) => string;
}

export const SERVER_KINDS = {
  nats: {
    title: "NATS",
    programs: ["nats-server"],
    install: "apt-get install nats-server, or brew install nats-server",
    args: (_program, port) => ["-a", "127.0.0.1", "-p", String(port)],
    url: (port) => `nats://127.0.0.1:${port}`,
  },
  redis: {
    title: "Redis",
    programs: ["redis-server"],
    install: "apt-get install redis-server, or brew install redis",
    // What it acknowledged is there after a crash, as it must be for carts and sessions.
    args: (_program, port, directory) => [
      ...["--bind", "127.0.0.1", "--port", String(port), "--dir", directory],
      ...["--appendonly", "yes", "--appendfsync", "always", "--save", ""],
    ],
    url: (port) => `redis://127.0.0.1:${port}`,
  },
  mongo: {
    title: "MongoDB",
    programs: ["mongod", "ferretdb"],
    install: "install mongod, or build FerretDB (docs/testing.md)",
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
    url: (port) => `mongodb://127.0.0.1:${port}/molecart`,
  },
} as const satisfies Record<string, Kind>;

export type ProgramKind = keyof typeof SERVER_KINDS;

/** The program on the PATH that runs this kind of server, or undefined. */
export function programOf(
  kind: ProgramKind,
  env: NodeJS.ProcessEnv,
): { name: string; path: string } | undefined {
  for (const name of SERVER_KINDS[kind].programs) {
    for (const directory of (env.PATH ?? "").split(delimiter)) {
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
