import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Config } from "../../lib/config.ts";
import { keptSecrets } from "../../lib/embedded.ts";
import { CliError } from "../lib/errors.ts";
import { guardedServer, type LocalServer, postgresServer } from "./guarded-server.ts";
import type { NodePlan } from "./layout.ts";
import { freePort } from "./ports.ts";
import { say } from "./say.ts";
import { type ProgramKind, programOf, SERVER_KINDS } from "./server-kinds.ts";

/** What the nodes of a local cluster run on. */
export interface Servers {
  /** What every node is told of them, beside what stands in the environment already. */
  env: Record<string, string>;
  /** Those that we started ourselves. */
  own: LocalServer[];
}

/** Many nodes have many connections. */
const POSTGRES_SETTINGS = { max_connections: "400" };

/**
 * Takes the servers that the environment names, and starts what is missing and can be started: Postgres is the embedded
 * one, NATS and Redis are programs from the PATH. MongoDB is started only if the layout can't do without. Says what it does.
 * @param onEnd told when one of our own has ended by itself
 * @throws CliError
 */
export async function openServers(
  config: Config,
  env: NodeJS.ProcessEnv,
  layout: readonly NodePlan[],
  onEnd: (server: LocalServer) => void,
): Promise<Servers> {
  const servers: Servers = { env: {}, own: [] };
  const run = async (kind: ProgramKind) => {
    const program = programOf(kind, env);
    if (!program) return undefined;
    const port = await freePort();
    const directory = join(config.DATA_DIR, kind);
    const server = guardedServer({ kind, program, port, directory, onEnd });
    servers.own.push(server);
    await server.start();
    const url = SERVER_KINDS[kind].url(port);
    tell(SERVER_KINDS[kind].title, `${url}, started for this cluster`);
    return url;
  };
  try {
    await openNats(config, servers, run);
    await openPostgres(config, env, servers, onEnd);
    if (config.REDIS_URL) tell("Redis", "from REDIS_URL");
    else {
      const url = await run("redis");
      if (url) servers.env.REDIS_URL = url;
      else tell("Redis", "none: carts and sessions in Postgres, caches and limits in each node");
    }
    await openMongo(config, layout, servers, run);
    Object.assign(servers.env, await secretsFor(config, env));
    return servers;
  } catch (error) {
    await stopServers(servers);
    throw error;
  }
}

/** Stops our own, Postgres last: what the others keep on their way out may be there. */
export async function stopServers({ own }: Servers): Promise<void> {
  for (const server of own) if (server.name !== "postgres") await server.stop();
  for (const server of own) await server.stop();
}

type Run = (kind: ProgramKind) => Promise<string | undefined>;

const tell = (name: string, text: string) => say(`${name.padEnd(10)} ${text}`);

async function openNats(config: Config, servers: Servers, run: Run): Promise<void> {
  if (config.NATS_URL.length > 0) return tell("NATS", "from NATS_URL");
  const url = await run("nats");
  if (!url) {
    throw new CliError("There is no NATS to connect the nodes.", {
      next: `Set NATS_URL, or install nats-server so that it is on the PATH: ${SERVER_KINDS.nats.install}. One process needs none: npm start.`,
    });
  }
  servers.env.NATS_URL = url;
}

async function openPostgres(
  config: Config,
  env: NodeJS.ProcessEnv,
  servers: Servers,
  onEnd: (server: LocalServer) => void,
): Promise<void> {
  if (env.DATABASE_URL || env.DATABASE_URL_FILE) return tell("Postgres", "from DATABASE_URL");
  const postgres = postgresServer({ dataDir: config.DATA_DIR, settings: POSTGRES_SETTINGS, onEnd });
  servers.own.push(postgres);
  await postgres.start();
  servers.env.DATABASE_URL = postgres.url;
  servers.env.SEED = env.SEED || "demo";
  tell("Postgres", `the embedded one, its data in ${config.DATA_DIR}`);
}

/** Two processes must not write the same files: then there must be a MongoDB. */
async function openMongo(
  config: Config,
  layout: readonly NodePlan[],
  servers: Servers,
  run: Run,
): Promise<void> {
  if (config.MONGO_URL) return tell("MongoDB", "from MONGO_URL");
  const many = (["notifications", "analytics"] as const).find(
    (name) => layout.filter(({ services }) => services.includes(name)).length > 1,
  );
  if (!many) return tell("MongoDB", `none: documents in files in ${config.DATA_DIR}`);
  const url = await run("mongo");
  if (!url) {
    throw new CliError(`Several processes of ${many} need a MongoDB.`, {
      next: `Set MONGO_URL, ${SERVER_KINDS.mongo.install}, or run one process of it.`,
    });
  }
  servers.env.MONGO_URL = url;
}

/** All nodes need the same secrets: those of the environment, else those of an embedded shop. */
async function secretsFor(config: Config, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  // Good for as long as the cluster: whoever is to join it gives one of his own.
  const cluster: Record<string, string> =
    config.CLUSTER_SECRET.length > 0 ? {} : { CLUSTER_SECRET: randomBytes(48).toString("base64url") };
  if (env.JWT_SECRET || env.JWT_SECRET_FILE) return cluster;
  const { secrets, isNew } = await keptSecrets(config.DATA_DIR);
  const { ADMIN_EMAIL, ADMIN_PASSWORD, ...others } = secrets;
  if (env.ADMIN_PASSWORD) return { ...others, ...cluster };
  if (isNew) tell("Admin", `${ADMIN_EMAIL}, password ${ADMIN_PASSWORD} (kept in ${config.DATA_DIR})`);
  return { ...secrets, ...cluster };
}
