import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import type { Config } from "../../lib/config.ts";
import { keptSecrets } from "../../lib/embedded.ts";
import { startEmbeddedPostgres } from "../../lib/stores/embedded-postgres.ts";
import { CliError } from "../lib/errors.ts";
import type { NodePlan } from "./layout.ts";
import { accepts, freePort } from "./ports.ts";
import { say } from "./say.ts";

/** What the nodes of a local cluster run on. */
export interface Servers {
  /** What every node is told of them, beside what stands in the environment already. */
  env: Record<string, string>;
  /** Process ids of the servers that we started ourselves, by name. */
  pids: Record<string, number>;
  /** Stops those. */
  stop: () => Promise<void>;
}

const NATS_START = 5_000;
/** Many nodes have many connections. */
const POSTGRES_SETTINGS = { max_connections: "400" };

/**
 * Takes the servers that the environment names, and starts what is missing and can be started: Postgres is the embedded
 * one, NATS a `nats-server` from the PATH. Says what it does.
 * @throws CliError
 */
export async function openServers(
  config: Config,
  env: NodeJS.ProcessEnv,
  layout: readonly NodePlan[],
): Promise<Servers> {
  const servers: Servers = { env: {}, pids: {}, stop: async () => undefined };
  assertDocuments(config, layout);
  if (config.NATS_URL.length > 0) {
    say("NATS       from NATS_URL");
  } else {
    const nats = await startNats();
    servers.env.NATS_URL = nats.url;
    servers.pids.nats = nats.pid;
    servers.stop = nats.stop;
    say(`NATS       ${nats.url}, started for this cluster`);
  }
  if (env.DATABASE_URL || env.DATABASE_URL_FILE) {
    say("Postgres   from DATABASE_URL");
  } else {
    const { stop } = servers;
    const postgres = await startEmbeddedPostgres({
      dataDir: config.DATA_DIR,
      settings: POSTGRES_SETTINGS,
    }).catch(async (error: unknown) => {
      await stop();
      throw error;
    });
    servers.env.DATABASE_URL = postgres.url;
    servers.env.SEED = env.SEED || "demo";
    servers.stop = async () => {
      await stop();
      await postgres.stop();
    };
    say(`Postgres   the embedded one, its data in ${config.DATA_DIR}`);
  }
  say(
    config.REDIS_URL
      ? "Redis      from REDIS_URL"
      : "Redis      none: carts and sessions in Postgres, caches and limits in each node",
  );
  say(
    config.MONGO_URL
      ? "MongoDB    from MONGO_URL"
      : `MongoDB    none: documents in files in ${config.DATA_DIR}`,
  );
  Object.assign(servers.env, await secretsFor(config, env));
  return servers;
}

/** All nodes need the same secrets: those of the environment, else those of an embedded shop. */
async function secretsFor(config: Config, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  if (env.JWT_SECRET || env.JWT_SECRET_FILE) return {};
  const { secrets, isNew } = await keptSecrets(config.DATA_DIR);
  const { ADMIN_EMAIL, ADMIN_PASSWORD, ...others } = secrets;
  if (env.ADMIN_PASSWORD) return others;
  if (isNew) say(`Admin      ${ADMIN_EMAIL}, password ${ADMIN_PASSWORD} (kept in ${config.DATA_DIR})`);
  return { ...secrets };
}

/** Two processes must not write the same files. */
function assertDocuments(config: Config, layout: readonly NodePlan[]): void {
  if (config.MONGO_URL) return;
  for (const name of ["notifications", "analytics"] as const) {
    if (layout.filter(({ services }) => services.includes(name)).length > 1)
      throw new CliError(`Several processes of ${name} need a MongoDB.`, {
        next: "Set MONGO_URL, or run one.",
      });
  }
}

/** Says its pid, and ends with us, whatever becomes of us: its stdin is a pipe that only we hold. */
const GUARDED = `"$@" </dev/null >/dev/null 2>&1 & server=$!; echo $server; read -r line; kill $server; wait $server`;

async function startNats(): Promise<{ url: string; pid: number; stop: () => Promise<void> }> {
  const program = programOf("nats-server");
  if (!program) {
    throw new CliError("There is no NATS to connect the nodes.", {
      next: "Set NATS_URL, or install nats-server so that it is on the PATH (apt-get install nats-server).",
    });
  }
  const port = await freePort();
  const args = ["-c", GUARDED, "molecart-guardian", program, "-a", "127.0.0.1", "-p", String(port)];
  const guard = spawn("/bin/sh", args, { detached: true, stdio: ["pipe", "pipe", "ignore"] });
  const exited = once(guard, "exit");
  const [pid] = await once(createInterface({ input: guard.stdout }), "line");
  const stop = async () => {
    guard.stdin.end();
    await exited;
  };
  if (!(await accepts(port, NATS_START))) {
    await stop();
    throw new CliError(`${program} does not start.`);
  }
  return { url: `nats://127.0.0.1:${port}`, pid: Number(pid), stop };
}

function programOf(name: string): string | undefined {
  const paths = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, name));
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
