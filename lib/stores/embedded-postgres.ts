/**
 * The Postgres a shop brings along: a real server under `DATA_DIR/postgres`, for as long as the shop lives.
 *
 * - One shop at a time: a file lock that the kernel frees when its holder dies, however it dies (embedded-postgres-lock.ts).
 * - Postgres is the child of a tiny guardian shell, which stops it once the shop's end of a pipe is closed. `stop()`
 *   closes that pipe and so does `kill -9`: there is one way to stop, and each stop tests it (embedded-postgres-guardian.ts).
 * - A server is never handed from one shop to the next: whoever holds the lock knows that a postmaster it finds has lost
 *   its shop, sees it off (a matter of 50 ms, its guardian is at it as well) and starts its own. So no old guardian
 *   can stop a server that a new shop relies on.
 * - In a shop that is root, Postgres runs as the user `postgres` and with none of root's rights, also where that user
 *   can't enter the directories above (embedded-postgres-programs.ts, nameForPostgres()).
 */
import { access, constants, mkdir, realpath } from "node:fs/promises";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { type Cluster, openCluster, SUPERUSER } from "./embedded-postgres-cluster.ts";
import { endOrphan, launch, type Server, StartFailure } from "./embedded-postgres-guardian.ts";
import { lockDirectory } from "./embedded-postgres-lock.ts";

export interface EmbeddedPostgres {
  /** A postgres:// URL with its password: keep it out of logs. */
  url: string;
  /** Stops the server and waits until it is gone. May be called again. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  dataDir: string;
  /** More postgresql.conf settings, e.g. `{ fsync: "off" }` in tests. They win over the defaults. */
  settings?: Record<string, string>;
  /** Takes the server's lines; by default they are dropped. */
  log?: (line: string) => void;
  /** Where it listens; by default a free port. For one that is started again for nodes that know the port. */
  port?: number;
  /** Told when the server ends without having been stopped. */
  onEnd?: () => void;
  /** Takes a copy of Postgres's programs, 60 MB, when the shop is root and nobody else gets to its repository. */
  cacheDir?: string;
}

const CACHE_DIR = "/var/cache/molecart";
const DATABASE = "molecart";
const ATTEMPTS = 5;
/** Another process took the port, or remains of a killed shop's Postgres (it was just starting) are still on their way out. */
const PASSING = /could not bind|postmaster\.pid" already exists|pre-existing shared memory block/;

/** Small, quiet and durable. Statements and their details stay out of the log, since they may hold personal data. */
const DEFAULTS: Record<string, string> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  shared_buffers: "32MB",
  min_wal_size: "32MB",
  max_wal_size: "512MB",
  jit: "off",
  io_method: "sync", // the default keeps three more processes
  max_logical_replication_workers: "0",
  timezone: "UTC",
  log_timezone: "UTC",
  log_destination: "stderr",
  logging_collector: "off",
  log_min_messages: "log",
  log_error_verbosity: "terse",
  log_checkpoints: "off",
};

/**
 * Starts the Postgres under `dataDir/postgres`, made at the first start with an empty database `molecart`.
 * Nothing it leaves running keeps the process alive.
 * @throws Error in one sentence with the next step: `dataDir` is another shop's, out of reach, or the server failed.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { settings = {}, log = () => {}, onEnd = () => {}, cacheDir = CACHE_DIR } = options;
  if (process.platform === "win32") {
    throw new Error(
      "The embedded Postgres needs Linux or macOS: use WSL, or set DATABASE_URL to a Postgres of yours.",
    );
  }
  const dataDir = await openDirectory(options.dataDir);
  const lock = await lockDirectory(dataDir);
  try {
    const cluster = await openCluster(dataDir, { sync: settings.fsync !== "off", cacheDir });
    const { server, port } = await start(cluster, { ...DEFAULTS, ...settings }, options.port, log, onEnd);
    const url = `postgres://${SUPERUSER}:${cluster.password}@127.0.0.1:${port}/${DATABASE}`;
    try {
      await ensureDatabase(url);
    } catch (error) {
      await server.stop();
      throw error;
    }
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= server.stop().finally(() => lock.release());
      return stopped;
    };
    return { url, stop };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function openDirectory(dataDir: string): Promise<string> {
  try {
    await mkdir(dataDir, { recursive: true });
    await access(dataDir, constants.W_OK | constants.X_OK);
    return await realpath(dataDir);
  } catch (cause) {
    throw new Error(`DATA_DIR ${dataDir} can't be written: check whose it is, or choose another DATA_DIR.`, {
      cause,
    });
  }
}

async function start(
  cluster: Cluster,
  settings: Record<string, string>,
  wanted: number | undefined,
  log: (line: string) => void,
  onEnd: () => void,
): Promise<{ server: Server; port: number }> {
  for (let attempt = 1; ; attempt++) {
    await endOrphan(cluster.directory);
    const port = wanted ?? (await freePort());
    const flags = Object.entries({ ...settings, port: String(port) }).flatMap(([name, value]) => [
      "-c",
      `${name}=${value}`,
    ]);
    try {
      return { server: await launch({ ...cluster, flags, log, onEnd }), port };
    } catch (error) {
      const passing = error instanceof StartFailure && PASSING.test(error.lines);
      if (!passing || attempt === ATTEMPTS) throw error;
      await sleep(100 * attempt);
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/** Logs in, which also proves that password and port are this server's, and makes the database if it isn't there yet. */
async function ensureDatabase(url: string): Promise<void> {
  const maintenance = new URL(url);
  maintenance.pathname = "/postgres";
  const client = new pg.Client({ connectionString: maintenance.href, ssl: false });
  try {
    await client.connect();
    const found = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [DATABASE]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(DATABASE)}`);
  } finally {
    await client.end();
  }
}
