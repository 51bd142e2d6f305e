import { spawnSync } from "node:child_process";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

/**
 * One more backup in a directory, of which the last `--keep` are kept: what a schedule runs (k8s/components/backup). Older
 * ones go only once the new one is whole. Ends as `molecart backup` does; 2 for what makes no sense.
 */

/** As the backups of this program are called: they sort by their time. Nothing else in the directory is touched. */
const OURS = /^molecart-\d{4}-\d\d-\d\dT[\d-]+Z\.tar\.zst$/;
/** What a backup leaves that was killed while it was written. */
const DRAFT = /^molecart-\d{4}-\d\d-\d\dT[\d-]+Z\.tar\.zst\.[\da-f]+\.part$/;
/** ms after which nobody writes to a draft any more. */
const ABANDONED = 86_400_000;

const { values } = parseArgs({
  options: { directory: { type: "string", default: "/backups" }, keep: { type: "string", default: "14" } },
});
const { directory } = values;
const keep = Number(values.keep);

function run(): number {
  if (!Number.isInteger(keep) || keep < 1) {
    console.error("--keep takes a whole number from 1 on.");
    return 2;
  }
  const name = `molecart-${new Date().toISOString().replace(/\.\d+/, "").replaceAll(":", "-")}.tar.zst`;
  const args = ["cli/molecart.ts", "backup", "--no-input", "--out", join(directory, name)];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) return status ?? 1;
  const kept = readdirSync(directory).filter((file) => OURS.test(file));
  for (const file of kept.sort().slice(0, -keep)) {
    rmSync(join(directory, file));
    console.log(`${file} is removed: ${keep} newer ones are there.`);
  }
  for (const file of readdirSync(directory).filter((one) => DRAFT.test(one))) {
    if (Date.now() - statSync(join(directory, file)).mtimeMs < ABANDONED) continue;
    rmSync(join(directory, file));
    console.log(`${file} is removed: it was never finished.`);
  }
  return 0;
}

process.exitCode = run();
