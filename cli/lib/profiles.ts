import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Type, { type Static } from "typebox";
import { Check } from "typebox/value";
import { CliError, codeOf, messageOf } from "./errors.ts";

export const Profile = Type.Object({
  url: Type.String(),
  email: Type.String(),
  access_token: Type.String(),
  refresh_token: Type.String(),
  /** ISO 8601, by this machine's clock */
  expires_at: Type.String(),
});
export type Profile = Static<typeof Profile>;

const ProfileFile = Type.Object({
  current: Type.Union([Type.String(), Type.Null()]),
  profiles: Type.Record(Type.String(), Profile),
});
export type ProfileFile = Static<typeof ProfileFile>;

/** ms after which a lock's owner is taken for dead; it holds it for one request at most. */
const STALE = 20_000;
/** ms between two looks at a lock that somebody holds. */
const LOOK = 25;

/** The logins of this user, by name: `$XDG_CONFIG_HOME/molecart/profiles.json`, for nobody else to read. */
export class Profiles {
  readonly path: string;

  constructor(env: NodeJS.ProcessEnv) {
    this.path = join(
      env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config"),
      "molecart",
      "profiles.json",
    );
  }

  /** @throws CliError if the file is not one of ours */
  async read(): Promise<ProfileFile> {
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes(String(codeOf(error)))) return bare({ current: null, profiles: {} });
      throw new CliError(`${this.path} can't be read: ${messageOf(error)}.`, {
        next: "Mend its permissions, or log in again after deleting it.",
      });
    }
    const file: unknown = parse(text);
    if (Check(ProfileFile, file)) return bare(file);
    throw new CliError(`${this.path} is no file of molecart's profiles.`, {
      next: "Delete it and log in again with `molecart login`.",
    });
  }

  /**
   * Changes the file while no other molecart does: a refresh token is good for one use, so that who reads it, spends it
   * and writes the next one must be alone.
   */
  async change<T>(work: (file: ProfileFile) => Promise<T>): Promise<T> {
    const unlock = await mkdir(dirname(this.path), { recursive: true, mode: 0o700 })
      .then(async () => await this.#lock())
      .catch(this.#refuse);
    try {
      const file = await this.read();
      const before = JSON.stringify(file);
      const result = await work(file);
      if (JSON.stringify(file) !== before) await this.#write(file).catch(this.#refuse);
      return result;
    } finally {
      await unlock();
    }
  }

  readonly #refuse = (error: unknown): never => {
    throw new CliError(`${this.path} can't be written (${codeOf(error) ?? messageOf(error)}).`, {
      next: "Set XDG_CONFIG_HOME to a directory of yours, or use ADMIN_EMAIL and ADMIN_PASSWORD: they need no file.",
    });
  };

  /** Written aside and renamed: a crash in between leaves the old tokens, not half of the new ones. */
  async #write(file: ProfileFile): Promise<void> {
    const draft = `${this.path}.${randomBytes(6).toString("hex")}`;
    await writeFile(draft, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, flag: "wx", flush: true });
    await rename(draft, this.path);
  }

  async #lock(): Promise<() => Promise<void>> {
    const path = `${this.path}.lock`;
    for (;;) {
      try {
        const handle = await open(path, "wx", 0o600);
        await handle.close();
        return () => rm(path, { force: true });
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error;
        const since = (await stat(path).catch(() => undefined))?.mtimeMs;
        if (since !== undefined && Date.now() - since > STALE) await rm(path, { force: true });
        else await delay(LOOK);
      }
    }
  }
}

/** With profiles that have the names of logins alone, and not those that every object has. */
function bare(file: ProfileFile): ProfileFile {
  Object.setPrototypeOf(file.profiles, null);
  return file;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
