import { readSecrets } from "../../lib/embedded.ts";
import { exists } from "../../lib/stores/embedded-postgres-programs.ts";
import { redisOf } from "../../lib/stores/redis.ts";
import packageJson from "../../package.json" with { type: "json" };
import { CliError } from "../lib/errors.ts";
import type { Stores } from "../lib/stores.ts";
import type { ArchiveWriter } from "./archive-writer.ts";
import { type DocumentStore, documentFiles, mongoDocuments } from "./documents.ts";
import { dumpPostgresEntries, dumpRedisEntries } from "./key-values.ts";
import {
  DOCUMENTS,
  documentsSection,
  FORMAT,
  type Jobs,
  jobsSection,
  KEY_VALUES,
  type Manifest,
  type Schema,
  SECRETS,
  tableSection,
} from "./manifest.ts";
import { seal } from "./secrets.ts";
import {
  countRows,
  describeJobs,
  describeSchema,
  dumpTable,
  openSnapshots,
  readSequences,
} from "./sql-snapshot.ts";

/** ms that Redis may take for one answer. */
const REDIS_TIMEOUT = 10_000;

export interface TakeOptions {
  /** Seals the embedded shop's secrets; without one they are left out. */
  passphrase: string | undefined;
  signal: AbortSignal;
  /** Rows written, of about how many. */
  progress: (done: number, total: number) => void;
}

/**
 * Writes every store into an archive, each as it was at one moment.
 *
 * Carts and sessions of a Redis come first: a cart that was ordered meanwhile is harmless (it makes its order once), a cart
 * that is lost is not. Then all databases ({@link openSnapshots}). Documents come last: whatever event a
 * database counts as delivered is in them, and what they tell twice they are told once, by its id.
 * @throws CliError
 */
export async function takeBackup(
  stores: Stores,
  archive: ArchiveWriter,
  options: TakeOptions,
): Promise<Manifest> {
  const { config, databases, mode } = stores;
  const documents = await openDocuments(stores);
  if (mode === "cluster" && config.MONGO_URL === "" && !(await exists(documents.where))) {
    throw new CliError(`There are no documents in ${documents.where}.`, {
      next: "Set MONGO_URL, or DATA_DIR to that of the node that runs notifications and analytics.",
    });
  }
  const redis = config.REDIS_URL === "" ? undefined : await connectRedis(config.REDIS_URL);
  let done = 0;
  let total = 0;
  const section: ArchiveWriter["section"] = async (name, produce) => {
    options.signal.throwIfAborted();
    const before = done;
    let seen = 0;
    const written = await archive.section(name, async (write) => {
      await produce(async (chunk) => {
        options.signal.throwIfAborted();
        await write(chunk);
        for (const byte of chunk) if (byte === 0x0a) seen++;
        options.progress(before + seen, Math.max(total, before + seen));
      });
    });
    done = before + written.rows;
    return written;
  };
  try {
    if (redis) {
      const prefix = `${config.NAMESPACE}:kv:`;
      await section(KEY_VALUES, (write) => dumpRedisEntries(redis, prefix, write));
    }
    await openSnapshots(databases);
    const taken_at = new Date().toISOString();
    const found = await Promise.all(databases.map(describeDatabase));
    total = done + found.reduce((sum, { rows }) => sum + rows, 0);
    for (const database of databases) {
      if (database.hasKeyValues)
        await section(KEY_VALUES, (write) => dumpPostgresEntries(database.client, write));
    }
    const jobs: Jobs[] = [];
    for (const [index, { client }] of databases.entries()) {
      for (const schema of found[index]?.schemas ?? []) {
        for (const table of schema.tables)
          await section(tableSection(schema.name, table.name), (write) =>
            dumpTable(client, schema.name, table, write),
          );
      }
      const own = found[index]?.jobs;
      if (!own) continue;
      for (const table of own.tables)
        await section(jobsSection(jobs.length, table.name), (write) =>
          dumpTable(client, "pgboss", table, write),
        );
      jobs.push(own);
    }
    for (const collection of DOCUMENTS)
      await section(documentsSection(collection), (write) => documents.dump(collection, write));
    const schemas = found.flatMap((one) => one.schemas);
    if (schemas.length === 0) {
      throw new CliError("There is no shop in these databases: none of its schemas is there.", {
        next: "See which they are with `molecart config show`.",
      });
    }
    for (const [index, { client }] of databases.entries())
      for (const schema of found[index]?.schemas ?? []) await readSequences(client, schema);
    const has_secrets = await writeSecrets(stores, section, options.passphrase);
    return await archive.finish({
      format: FORMAT,
      molecart: packageJson.version,
      mode,
      taken_at,
      schemas,
      jobs,
      has_secrets,
    });
  } finally {
    redis?.disconnect();
    await documents.close();
  }
}

async function describeDatabase({ client, services }: Stores["databases"][number]) {
  const schemas: Schema[] = [];
  let rows = 0;
  for (const service of services) {
    const schema = await describeSchema(client, service);
    if (!schema) continue;
    schemas.push(schema);
    for (const table of schema.tables) rows += await countRows(client, service, table.name);
  }
  const jobs = await describeJobs(
    client,
    schemas.flatMap(({ name }) => services.filter((service) => service === name)),
  );
  for (const table of jobs?.tables ?? []) rows += await countRows(client, "pgboss", table.name);
  return { schemas, jobs, rows };
}

async function writeSecrets(
  { mode, config }: Stores,
  section: ArchiveWriter["section"],
  passphrase: string | undefined,
): Promise<boolean> {
  const secrets = mode === "embedded" ? await readSecrets(config.DATA_DIR) : null;
  if (!secrets || passphrase === undefined) return false;
  await section(SECRETS, (write) => write(Buffer.from(seal(JSON.stringify(secrets), passphrase))));
  return true;
}

/** @throws CliError if it can't be reached, or if there are no documents where they should be */
export async function openDocuments({ config: { MONGO_URL, DATA_DIR } }: Stores): Promise<DocumentStore> {
  return MONGO_URL === "" ? documentFiles(DATA_DIR) : await mongoDocuments(MONGO_URL);
}

/** @throws CliError */
export async function connectRedis(url: string) {
  const redis = redisOf(url, REDIS_TIMEOUT);
  const deadline = performance.now() + 2_000;
  for (;;) {
    try {
      await redis.ping();
      return redis;
    } catch {
      if (performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      redis.disconnect();
      throw new CliError("The Redis of REDIS_URL can't be reached.", {
        next: "Start it, or mend REDIS_URL.",
      });
    }
  }
}
