import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import pg from "pg";
import { ConfigError, databaseConfig, isEmbedded, type StoresConfig } from "../../lib/config.ts";
import { SQL_SERVICES, type SqlService } from "../../lib/service-names.ts";
import { APPLICATION } from "../../lib/stores/connect.ts";
import type { EmbeddedPostgres } from "../../lib/stores/embedded-postgres.ts";
import { exists } from "../../lib/stores/embedded-postgres-programs.ts";
import { CliError, codeOf, EXIT, messageOf } from "./errors.ts";

/** What the CLI's own connections are called: they are no sign of a running shop. */
const OWN_NAME = `${APPLICATION}-cli`;
/** ms: a Postgres that is there answers by then. */
const REACH = 2_000;
/** A backup or a restore may take as long as it takes, and waits for its turn a while. */
const OPTIONS = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=10000";

/** One Postgres database and what the shop keeps in it. */
export interface SqlStore {
  client: pg.Client;
  url: string;
  /** For messages: host and database, never a password. */
  where: string;
  services: SqlService[];
  /** Whether carts and sessions are in it: there is no Redis. */
  hasKeyValues: boolean;
}

/** The stores of a shop, reached past its services. */
export interface Stores {
  config: StoresConfig;
  mode: "embedded" | "cluster";
  databases: SqlStore[];
  close(): Promise<void>;
}

interface OpenOptions {
  /** `alone`: fails while an embedded shop runs. `beside`: uses its Postgres. */
  how: "alone" | "beside";
}

/**
 * Connects to every Postgres of the shop that the environment configures; an embedded shop that doesn't run has its own
 * brought up for the command.
 * @throws CliError
 */
export async function openStores(env: NodeJS.ProcessEnv, { how }: OpenOptions): Promise<Stores> {
  const embedded = isEmbedded(env);
  const dataDir = resolve(configOf(env, "postgres://none").DATA_DIR);
  const own = embedded ? await embeddedPostgres(dataDir, how) : undefined;
  const databases: SqlStore[] = [];
  const close = async () => {
    await Promise.all(databases.map(({ client }) => client.end().catch(() => undefined)));
    await own?.stop();
  };
  try {
    const config = configOf(env, own?.url);
    for (const [url, services] of byUrl(config)) await connect(databases, url, services);
    if (config.REDIS_URL === "") {
      await connect(databases, config.DATABASE_URL, []);
      const home = databases.find(({ url }) => url === config.DATABASE_URL);
      if (home) home.hasKeyValues = true;
    }
    return {
      config: { ...config, DATA_DIR: dataDir },
      mode: embedded ? "embedded" : "cluster",
      databases,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function configOf(env: NodeJS.ProcessEnv, embeddedUrl?: string): StoresConfig {
  try {
    return databaseConfig(env, isEmbedded(env) ? embeddedUrl : "");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CliError(error.message, {
      exitCode: EXIT.misuse,
      next: "docs/configuration.md says what each takes.",
    });
  }
}

function byUrl(config: StoresConfig): Map<string, SqlService[]> {
  return Map.groupBy(SQL_SERVICES, (service) => config.databaseUrl(service));
}

/** Adds a database, or its services to the one that another address of it has reached already. */
async function connect(databases: SqlStore[], url: string, services: SqlService[]): Promise<void> {
  if (databases.some((one) => one.url === url)) return;
  const { client, where } = await connectTo(url);
  const identity = await identityOf(client);
  for (const known of databases) {
    if ((await identityOf(known.client)) !== identity) continue;
    known.services.push(...services);
    await client.end();
    return;
  }
  databases.push({ client, url, where, services: [...services], hasKeyValues: false });
}

/** @throws CliError that names the server, and no password */
async function connectTo(url: string): Promise<{ client: pg.Client; where: string }> {
  const client = new pg.Client({
    connectionString: url,
    application_name: OWN_NAME,
    options: OPTIONS,
    keepAlive: true,
    connectionTimeoutMillis: REACH,
  });
  // A connection that breaks fails the query under way; without a listener it would end the process.
  client.on("error", () => undefined);
  const where = `${client.host}:${client.port}/${client.database ?? ""}`;
  try {
    await client.connect();
    return { client, where };
  } catch (error) {
    throw new CliError(`The Postgres at ${where} can't be reached (${codeOf(error) ?? messageOf(error)}).`, {
      next: "Start it, or mend DATABASE_URL (`molecart config show`).",
    });
  }
}

async function identityOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ identity: string }>(
    `SELECT (SELECT oid FROM pg_database WHERE datname = current_database())
       || '@' || (SELECT system_identifier FROM pg_control_system()) AS identity`,
  );
  return rows[0]?.identity ?? "";
}

/** How many connections a shop's nodes have to these databases: none when it is stopped. */
export async function shopConnections(databases: readonly SqlStore[]): Promise<number> {
  let count = 0;
  for (const { client } of databases) {
    const { rows } = await client.query<{ count: number }>(
      `SELECT count(*)::integer AS count FROM pg_stat_activity
       WHERE datname = current_database() AND application_name LIKE $1 AND application_name <> $2`,
      [`${APPLICATION}%`, OWN_NAME],
    );
    count += rows[0]?.count ?? 0;
  }
  return count;
}

/** @throws CliError if there is no shop, or (`alone`) if it runs */
async function embeddedPostgres(dataDir: string, how: OpenOptions["how"]): Promise<EmbeddedPostgres> {
  if (how === "beside") {
    const running = await runningPostgres(dataDir);
    if (running) return running;
    if (!(await exists(join(dataDir, "postgres/PG_VERSION")))) {
      throw new CliError(`There is no shop in ${dataDir} yet.`, {
        next: "Run this where the shop was started, or set DATA_DIR (embedded) or DATABASE_URL (a cluster).",
      });
    }
  }
  const { startEmbeddedPostgres } = await import("../../lib/stores/embedded-postgres.ts");
  try {
    return await startEmbeddedPostgres({ dataDir });
  } catch (error) {
    const message = messageOf(error);
    if (/is in use by another shop/.test(message)) {
      throw new CliError(`The shop in ${dataDir} is running: this needs it stopped.`, {
        next: "Stop it with Ctrl-C (or kill its process), then do this again.",
      });
    }
    throw new CliError(message);
  }
}

/** The Postgres of a shop that runs on `dataDir`, or undefined. */
async function runningPostgres(dataDir: string): Promise<EmbeddedPostgres | undefined> {
  const read = (name: string) => readFile(join(dataDir, name), "utf8").catch(() => "");
  const [pidFile, password] = await Promise.all([read("postgres/postmaster.pid"), read("postgres.password")]);
  const port = Number(pidFile.split("\n")[3]);
  if (!(port > 0) || password.trim() === "") return undefined;
  const url = `postgres://molecart:${password.trim()}@127.0.0.1:${port}/molecart`;
  try {
    // Also proves that the port is still this server's.
    await (await connectTo(url)).client.end();
    return { url, stop: async () => undefined };
  } catch {
    return undefined;
  }
}
