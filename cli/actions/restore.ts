import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { isEmbedded } from "../../lib/config.ts";
import { exists } from "../../lib/stores/embedded-postgres-programs.ts";
import { checkArchive } from "../backup/archive-reader.ts";
import type { DocumentStore } from "../backup/documents.ts";
import { giveBackup } from "../backup/give.ts";
import { countRedisEntries } from "../backup/key-values.ts";
import { DOCUMENTS, type Manifest } from "../backup/manifest.ts";
import { passphraseOf } from "../backup/secrets.ts";
import { checkFits, contentsOf } from "../backup/sql-load.ts";
import { connectRedis, openDocuments } from "../backup/take.ts";
import { confirm } from "../lib/ask.ts";
import { CliError, EXIT, Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { plural } from "../lib/output.ts";
import { openMeter } from "../lib/progress.ts";
import { openStores, type Stores, shopConnections } from "../lib/stores.ts";

export interface RestoreOptions {
  force?: boolean;
  whileRunning?: boolean;
  passphraseFile?: string;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  input?: boolean;
}

type Redis = Awaited<ReturnType<typeof connectRedis>>;

/** Puts an archive into the stores of a shop that is stopped. @returns the exit code */
export async function restore(file: string, options: RestoreOptions, io: Io): Promise<number> {
  if (file === "-")
    throw new Misuse(
      "An archive is read twice, to check it before anything is changed.",
      "Keep it in a file.",
    );
  const path = resolve(file);
  const passphrase = await passphraseOf(options.passphraseFile, io.env);
  const manifest = await check(path, options, io);
  // Nothing is to be made in a DATA_DIR by a dry run.
  if (
    options.dryRun &&
    isEmbedded(io.env) &&
    !(await exists(resolve(io.env.DATA_DIR || ".data", "postgres/PG_VERSION")))
  )
    return tell(manifest, [], options, io);
  const stores = await openStores(io.env, { how: "alone" });
  let documents: DocumentStore | undefined;
  let redis: Redis | undefined;
  try {
    checkFits(manifest, stores.databases);
    await refuseRunning(stores, options);
    documents = await openDocuments(stores);
    redis = stores.config.REDIS_URL === "" ? undefined : await connectRedis(stores.config.REDIS_URL);
    const contents = await contentsOfAll(stores, documents, redis);
    if (options.dryRun) return tell(manifest, contents, options, io);
    if (contents.length > 0) {
      if (!options.force) {
        throw new CliError(`There is a shop here already: ${summary(contents)}.`, {
          next: "--force puts the backup in its place, for good. Nothing was changed.",
        });
      }
      await confirm(
        io,
        `Replace what is here (${summary(contents)}) by the backup of ${manifest.taken_at}?`,
        options,
      );
    }
    const total = manifest.sections.reduce((sum, { rows }) => sum + rows, 0);
    const meter = await openMeter(io, { unit: "row", total, json: options.json });
    const progress = (done: number) => meter.update(done);
    const given = await giveBackup(stores, path, manifest, {
      documents,
      redis,
      passphrase,
      signal: io.signal,
      progress,
    })
      .catch((error: unknown) => {
        throw error instanceof CliError || io.signal.aborted ? error : failed(error);
      })
      .finally(() => meter.end());
    if (options.json) io.printLine({ type: "summary", taken_at: manifest.taken_at, ...given });
    else {
      io.print(`Restored ${plural(given.rows, "row")}, as of ${manifest.taken_at}.`);
      if (given.expired > 0)
        io.say(`${plural(given.expired, "cart or session", "carts and sessions")} had expired since.`);
      if (given.admin)
        io.say(
          `secrets.json was not restored: ${given.admin} has the password of the one in ${stores.config.DATA_DIR} now.`,
        );
      io.say("Start the shop, wait until its sagas have run, and prove it with `molecart verify`.");
    }
    return EXIT.ok;
  } finally {
    redis?.disconnect();
    await documents?.close();
    await stores.close();
  }
}

function failed(error: unknown): CliError {
  return new CliError(
    `The restore failed, and nothing was changed: ${error instanceof Error ? error.message : String(error)}`,
    {
      next: "Mend that and run it again.",
    },
  );
}

async function check(path: string, options: RestoreOptions, io: Io): Promise<Manifest> {
  const total = await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
  const meter = await openMeter(io, {
    unit: "byte",
    ...(total === undefined ? {} : { total }),
    json: options.json,
  });
  let read = 0;
  try {
    const passed = (bytes: number) => {
      read += bytes;
      meter.update(read, { note: "checking" });
    };
    return await checkArchive(path, passed, io.signal);
  } finally {
    await meter.end();
  }
}

async function refuseRunning({ databases }: Stores, { whileRunning }: RestoreOptions): Promise<void> {
  if (whileRunning) return;
  const count = await shopConnections(databases);
  if (count === 0) return;
  throw new CliError(`A shop is running on these databases: it has ${plural(count, "connection")} to them.`, {
    next: "Stop its nodes, or say --while-running if you know better. Nothing was changed.",
  });
}

async function contentsOfAll(
  { databases, config }: Stores,
  documents: DocumentStore,
  redis: Redis | undefined,
) {
  const found = (await Promise.all(databases.map(contentsOf))).flat();
  for (const collection of DOCUMENTS) {
    const rows = await documents.count(collection);
    if (rows > 0) found.push({ what: `documents of ${collection}`, rows });
  }
  // A cart or two in a table beside an empty shop are nobody's; in a Redis they may be another shop's.
  const rows = redis ? await countRedisEntries(redis, `${config.NAMESPACE}:kv:`) : 0;
  if (rows > 0) found.push({ what: "carts and sessions in Redis", rows });
  return found;
}

function summary(contents: readonly { what: string; rows: number }[]): string {
  const shown = contents.slice(0, 4).map(({ what, rows }) => `${rows.toLocaleString("en-US")} ${what}`);
  return shown.join(", ") + (contents.length > 4 ? ` and ${contents.length - 4} more` : "");
}

function tell(
  manifest: Manifest,
  contents: readonly { what: string; rows: number }[],
  options: RestoreOptions,
  io: Io,
): number {
  const { taken_at, molecart, mode, sections } = manifest;
  if (options.json)
    io.printLine({ type: "summary", dry_run: true, taken_at, molecart, mode, sections, replaces: contents });
  else {
    for (const { name, rows } of sections)
      io.print(`${name.padEnd(40)} ${rows.toLocaleString("en-US").padStart(12)}`);
    io.say(
      `Would restore the backup of ${taken_at} (${mode}, molecart ${molecart})${contents.length > 0 ? `, in place of ${summary(contents)}` : ""}.`,
    );
  }
  return EXIT.ok;
}
