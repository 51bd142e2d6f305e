import { access, constants, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

/** How long a killed holder may take to die before its directory counts as in use. */
const PATIENCE_MS = 500;
const SQLITE_BUSY = 5;

export interface DirectoryLock {
  /** May be called again. */
  release(): void;
}

/** Kept here, for a lock that is garbage collected is free. */
const held = new Set<DatabaseSync>();

/**
 * Makes `dataDir` this process's alone. Node has no `flock`, but SQLite locks a file: the kernel frees it when the process
 * dies, so unlike a pid file it can't be stale, and it holds between containers that share the directory.
 * @throws Error that names the holder, if there is one.
 */
export async function lockDirectory(dataDir: string): Promise<DirectoryLock> {
  const holderFile = join(dataDir, "postgres.holder");
  const lockFile = join(dataDir, "postgres.lock");
  const lock = new DatabaseSync(lockFile); // makes the file
  try {
    await access(lockFile, constants.W_OK).catch((cause) => {
      // SQLite would open it read-only, and then lock nothing out.
      throw new Error(`${lockFile} can't be written: run the shop as the user who owns it.`, { cause });
    });
    for (const deadline = performance.now() + PATIENCE_MS; !acquire(lock); await sleep(20)) {
      if (performance.now() < deadline) continue;
      const holder = (await readFile(holderFile, "utf8").catch(() => "")).trim() || "unknown";
      throw new Error(
        `DATA_DIR ${dataDir} is in use by another shop (process ${holder}): stop that one, or give this one a DATA_DIR of its own.`,
      );
    }
    held.add(lock);
    await writeFile(holderFile, `${process.pid}\n`);
  } catch (error) {
    held.delete(lock);
    lock.close();
    throw error;
  }
  return {
    release() {
      if (held.delete(lock)) lock.close();
    },
  };
}

function acquire(lock: DatabaseSync): boolean {
  try {
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (Object(error).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
