import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  exists,
  findPrograms,
  findUser,
  type Programs,
  programsFor,
  type User,
} from "./embedded-postgres-programs.ts";

export const SUPERUSER = "molecart";
const PASSWORD_FILE = "postgres.password";
/** A cluster in the making; the random end keeps it apart from an initdb that outlived its shop. */
const DRAFT = "postgres.new-";

export interface Cluster {
  programs: Programs;
  directory: string;
  /** Whom Postgres runs as when the shop is root; undefined: the shop's own user. */
  user: User | undefined;
  /** All that the server sees of the shop's environment. */
  environment: NodeJS.ProcessEnv;
  password: string;
}

/**
 * Finds the cluster `dataDir/postgres`, or makes it. It appears under that name only when it is whole, so a shop
 * killed during its first start leaves nothing that hinders the next one.
 * @param options.sync whether a new cluster must survive a power cut
 * @param options.cacheDir for a copy of the programs, see programsFor()
 */
export async function openCluster(
  dataDir: string,
  options: { sync: boolean; cacheDir: string },
): Promise<Cluster> {
  const installed = await findPrograms();
  const directory = join(dataDir, "postgres");
  const isOld = await exists(join(directory, "PG_VERSION"));
  const user = await findUser(isOld ? directory : undefined);
  const programs = user ? await programsFor(user, installed, options.cacheDir) : installed;
  const { PATH, LD_LIBRARY_PATH } = process.env;
  const environment = { PATH, LD_LIBRARY_PATH, TZ: "UTC" };
  const passwordFile = join(dataDir, PASSWORD_FILE);
  await removeDrafts(dataDir);

  if (isOld) {
    const password = (await readFile(passwordFile, "utf8").catch(() => "")).trim();
    if (password === "") {
      throw new Error(
        `${passwordFile} is missing, the password of the Postgres beside it: restore it from a backup.`,
      );
    }
    return { programs, directory, user, environment, password };
  }
  const password = randomBytes(24).toString("hex");
  await rm(passwordFile, { force: true });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flush: true });
  const draft = await mkdtemp(join(dataDir, DRAFT));
  if (user) await Promise.all([draft, passwordFile].map((path) => chown(path, user.uid, user.gid)));
  try {
    await initialize({ programs, directory: draft, user, environment, password }, passwordFile, options.sync);
    await rename(draft, directory);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true }).catch(() => {});
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `The embedded Postgres could not be set up in ${directory}: ${said}\nMend that, or set DATABASE_URL.`,
    );
  }
  if (options.sync) await syncDirectory(dataDir);
  return { programs, directory, user, environment, password };
}

/**
 * What Postgres is to call its data directory, its working directory throughout. Another user than the shop's need not
 * be able to enter the directories above it (DATA_DIR in /root): a process is always let to where it already is.
 */
export function nameForPostgres({ directory, user }: Cluster): string {
  return user && process.platform === "linux" ? "/proc/self/cwd" : directory;
}

/** @throws Error with what initdb said */
async function initialize(cluster: Cluster, passwordFile: string, sync: boolean): Promise<void> {
  const { programs, directory, user, environment } = cluster;
  const flags = [
    `--pgdata=${nameForPostgres(cluster)}`,
    `--username=${SUPERUSER}`,
    "--pwfile=/dev/stdin", // opened here, for the same reason
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    // Upper and lower case of all of Unicode, sorted by code point: the same on each machine.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    // What pg_trgm and the text search take for a letter.
    `--lc-ctype=${process.platform === "darwin" ? "en_US.UTF-8" : "C.UTF-8"}`,
    "--no-instructions",
    ...(sync ? [] : ["--no-sync"]),
  ];
  const input = await open(passwordFile);
  try {
    const initdb = spawn(programs.initdb, flags, {
      ...user,
      env: environment,
      cwd: directory,
      stdio: [input.fd, "ignore", "pipe"],
    });
    let said = "";
    initdb.stderr?.setEncoding("utf8").on("data", (part) => {
      said += part;
    });
    const [code] = await once(initdb, "close");
    if (code !== 0) throw new Error(said.trim() || "initdb ended without a word");
  } finally {
    await input.close();
  }
}

/** What a shop killed during its first start left. An initdb still at work there fails; its last crumbs go next time. */
async function removeDrafts(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith(DRAFT)) continue;
    await rm(join(dataDir, name), { recursive: true, force: true }).catch(() => {});
  }
}

/** Makes a rename in the directory survive a power cut. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
