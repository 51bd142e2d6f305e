import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { resolve } from "node:path";

/** A shop in a process of its own, as `npm start` runs it. */
export interface NodeProcess {
  url: string;
  process: ChildProcess;
  /** What it has written so far: for the message of a failed test. */
  output: () => string;
  /** Resolves when it is gone. @returns its exit code or signal */
  exited: Promise<number | NodeJS.Signals | null>;
  kill: (signal: NodeJS.Signals) => Promise<void>;
}

const ROOT = resolve(import.meta.dirname, "../..");

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("The server had no port.");
  return address.port;
}

/** Starts a node and waits until it is ready, or has died. */
export async function startNode(env: Record<string, string>): Promise<NodeProcess> {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [
      "node_modules/moleculer/bin/moleculer-runner.js",
      "--config",
      "moleculer.config.ts",
      "services/*/*.service.ts",
    ],
    {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: process.env.HOME ?? "",
        PORT: String(port),
        LOG_LEVEL: "warn",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exited = once(child, "exit").then(([code, signal]) => code ?? signal);
  const url = `http://127.0.0.1:${port}`;
  while (child.exitCode === null && child.signalCode === null) {
    const ready = await fetch(`${url}/health/ready`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) break;
    await Promise.race([exited, new Promise((next) => setImmediate(next))]);
  }
  if (child.exitCode !== null) throw new Error(`The node ended with ${child.exitCode}:\n${output}`);
  return {
    url,
    process: child,
    output: () => output,
    exited,
    async kill(signal) {
      child.kill(signal);
      await exited;
    },
  };
}
