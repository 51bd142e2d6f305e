import { resolve } from "node:path";
import { createArchive } from "../backup/archive-writer.ts";
import { passphraseOf } from "../backup/secrets.ts";
import { takeBackup } from "../backup/take.ts";
import { EXIT, Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { plural } from "../lib/output.ts";
import { openMeter } from "../lib/progress.ts";
import { openStores } from "../lib/stores.ts";

export interface BackupOptions {
  out?: string;
  passphraseFile?: string;
  json?: boolean;
  input?: boolean;
}

/** Writes all stores of the shop into one archive. @returns the exit code */
export async function backup(options: BackupOptions, io: Io): Promise<number> {
  const toStdout = options.out === "-";
  if (toStdout && (options.json || io.stdout.isTTY))
    throw new Misuse(
      "Standard output is for the archive.",
      "Send it on: molecart backup --out - | age -r … > backup.age",
    );
  const passphrase = await passphraseOf(options.passphraseFile, io.env);
  const path = resolve(options.out ?? defaultName(new Date()));
  const stores = await openStores(io.env, { how: "beside" });
  try {
    const archive = await createArchive(toStdout ? io.stdout : path);
    const meter = await openMeter(io, { unit: "row", json: options.json });
    const progress = (done: number) => meter.update(done);
    const manifest = await takeBackup(stores, archive, { passphrase, signal: io.signal, progress })
      .catch(async (error: unknown) => {
        await archive.abort();
        throw error;
      })
      .finally(() => meter.end());
    const rows = manifest.sections.reduce((sum, section) => sum + section.rows, 0);
    const file = toStdout ? "-" : path;
    if (options.json)
      io.printLine({
        type: "summary",
        file,
        taken_at: manifest.taken_at,
        rows,
        has_secrets: manifest.has_secrets,
      });
    else if (!toStdout) io.print(file);
    if (!options.json) {
      io.say(
        `${plural(rows, "row")} of ${plural(manifest.schemas.length, "schema")}, key-values and documents, as of ${manifest.taken_at}.`,
      );
      if (stores.mode === "embedded" && !manifest.has_secrets)
        io.say("secrets.json is not in it: keep that file yourself, or seal it in with --passphrase-file.");
      io.say("It holds personal data and password hashes: keep it as safe as the shop.");
    }
    return EXIT.ok;
  } finally {
    await stores.close();
  }
}

/** `molecart-2026-11-25T12-00-00Z.tar.zst` */
function defaultName(at: Date): string {
  return `molecart-${at.toISOString().replace(/\.\d+/, "").replaceAll(":", "-")}.tar.zst`;
}
