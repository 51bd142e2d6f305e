import type { Command } from "commander";
import type { BackupOptions } from "../actions/backup.ts";
import type { RestoreOptions } from "../actions/restore.ts";
import { examples, prose } from "../lib/options.ts";
import { run } from "../lib/run.ts";

const PASSPHRASE = [
  "--passphrase-file <file>",
  "a passphrase in a file (else MOLECART_BACKUP_PASSPHRASE)",
] as const;

export function backupCommand(command: Command): void {
  command
    .option(
      "-o, --out <file>",
      "where to (default: a name with the time, here); .gz for gzip, - for standard output",
    )
    .option(...PASSPHRASE)
    .option("--json", "print JSON, one value a line")
    .option("--no-input", "ask nothing")
    .addHelpText(
      "after",
      examples(
        "backup",
        "backup --out /backups/monday.tar.zst",
        "backup --out - | age -r age1… > backup.age",
        "backup --passphrase-file ~/.molecart-passphrase",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "Of the stores that the environment configures, as the shop reads it; the shop may run. What an " +
          "embedded shop keeps in secrets.json is left out, or sealed in with a passphrase. See docs/backup.md.",
      ),
    )
    .action(async (options: BackupOptions) => {
      await run(options, async (io) => (await import("../actions/backup.ts")).backup(options, io));
    });
}

export function restoreCommand(command: Command): void {
  command
    .argument("<file>", "what `molecart backup` made")
    .option("--force", "replace what is there")
    .option("--while-running", "even though a cluster's nodes are connected")
    .option(...PASSPHRASE)
    .option("--dry-run", "check the archive and the stores, and change nothing")
    .option("-y, --yes", "don't ask")
    .option("--json", "print JSON, one value a line")
    .option("--no-input", "ask nothing")
    .addHelpText(
      "after",
      examples(
        "restore monday.tar.zst --dry-run",
        "restore monday.tar.zst",
        "restore monday.tar.zst --force --yes",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "Into the stores that the environment configures (DATA_DIR, DATABASE_URL, REDIS_URL, MONGO_URL), " +
          "with the shop stopped.\n" +
          "A broken archive, a newer schema and a shop that is there already are refused before anything is " +
          "changed.",
      ),
    )
    .action(async (file: string, options: RestoreOptions) => {
      await run(options, async (io) => (await import("../actions/restore.ts")).restore(file, options, io));
    });
}
