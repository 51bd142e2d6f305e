import { text } from "node:stream/consumers";
import type { Redis } from "ioredis";
import { keptSecrets, secretsIn, writeSecrets } from "../../lib/embedded.ts";
import { Passwords } from "../../services/users/passwords.ts";
import { CliError, messageOf } from "../lib/errors.ts";
import type { Stores } from "../lib/stores.ts";
import { sectionsOf } from "./archive-reader.ts";
import type { DocumentDraft, DocumentStore } from "./documents.ts";
import { clearRedisEntries, type KeyValue, loadRedisEntries, renameRedisEntries } from "./key-values.ts";
import { linesOf } from "./lines.ts";
import {
  DIGEST,
  DOCUMENTS,
  documentsSection,
  KEY_VALUES,
  MANIFEST,
  type Manifest,
  SECRETS,
} from "./manifest.ts";
import { unseal } from "./secrets.ts";
import { SqlLoader } from "./sql-load.ts";

const BATCH = 500;

export interface GiveOptions {
  documents: DocumentStore;
  redis: Redis | undefined;
  passphrase: string | undefined;
  signal: AbortSignal;
  progress: (done: number, total: number) => void;
}

export interface Given {
  rows: number;
  /** Carts and sessions whose time had come since the backup. */
  expired: number;
  secrets: "restored" | "kept";
  /** Whose password is now the one that DATA_DIR keeps: the archive had no secrets. */
  admin: string | undefined;
}

/**
 * Puts an archive that was checked into the stores, in the place of what is there. Every store is filled out of the shop's
 * sight first; nothing shows before all of it has come.
 * @throws CliError, having changed nothing; or, if a store fails at the very end, one that says which
 */
export async function giveBackup(
  stores: Stores,
  path: string,
  manifest: Manifest,
  options: GiveOptions,
): Promise<Given> {
  const { config, databases, mode } = stores;
  const { documents, redis, signal } = options;
  const home = `${config.NAMESPACE}:kv:`;
  const aside = `${config.NAMESPACE}:kv-restoring:`;
  const loaders: SqlLoader[] = [];
  const drafts = new Map<string, DocumentDraft>();
  const given: Given = { rows: 0, expired: 0, secrets: "kept", admin: undefined };
  const total = manifest.sections.reduce((sum, { rows }) => sum + rows, 0);
  let secrets: string | undefined;

  const loadEntries = async (entries: readonly KeyValue[]) => {
    const living = entries.filter(({ expires_at }) => expires_at > Date.now());
    given.expired += entries.length - living.length;
    if (living.length === 0) return;
    if (redis) await loadRedisEntries(redis, aside, living);
    else await loaders.find(({ store }) => store.hasKeyValues)?.loadEntries(living);
  };
  const load = async (name: string, content: AsyncIterable<Buffer>): Promise<number> => {
    if (name === SECRETS) {
      secrets = await text(content);
      return 1;
    }
    if (name === KEY_VALUES)
      return await inBatches(content, (lines) =>
        loadEntries(lines.map((line): KeyValue => JSON.parse(line))),
      );
    const draft = drafts.get(name);
    if (draft) return await inBatches(content, (lines) => draft.add(lines));
    const loader = loaders.find((one) => one.takes(name));
    if (!loader) throw new CliError(`${name} of the backup has no place in these stores.`);
    return await loader.load(name, content);
  };

  try {
    if (redis) await clearRedisEntries(redis, aside);
    for (const collection of DOCUMENTS)
      drafts.set(documentsSection(collection), await documents.begin(collection));
    for (const database of databases) loaders.push(await SqlLoader.open(database, manifest));
    for await (const { name, content } of sectionsOf(path)) {
      if (name === MANIFEST || name === DIGEST) continue;
      const counted = observed(content, (rows) => {
        signal.throwIfAborted();
        options.progress(given.rows + rows, total);
      });
      const rows = await load(name, counted);
      const wanted = manifest.sections.find((section) => section.name === name)?.rows;
      if (rows !== wanted)
        throw new CliError(`${name} has ${wanted} rows in the backup, and ${rows} were restored.`);
      given.rows += rows;
    }
    const kept =
      mode === "embedded" ? await secretsFor(config.DATA_DIR, secrets, options.passphrase) : undefined;
    if (kept?.restored) given.secrets = "restored";
    else if (kept) given.admin = await giveAdminPassword(loaders, kept.secrets);
    for (const loader of loaders) await loader.complete();
    signal.throwIfAborted();
    await publish([
      ...loaders.map((loader) => ({ what: loader.store.where, work: () => loader.commit() })),
      ...[...drafts].map(([name, draft]) => ({ what: name, work: () => draft.publish() })),
      ...(redis ? [{ what: "Redis", work: () => renameRedisEntries(redis, aside, home) }] : []),
      ...(kept?.restored ? [{ what: "secrets.json", work: kept.write }] : []),
    ]);
    return given;
  } catch (error) {
    await Promise.all(loaders.map((loader) => loader.rollback()));
    await Promise.allSettled([...drafts.values()].map((draft) => draft.discard()));
    if (redis) await clearRedisEntries(redis, aside).catch(() => undefined);
    throw error;
  }
}

/** @throws CliError that says which stores are restored, if one fails */
async function publish(steps: readonly { what: string; work: () => Promise<void> }[]): Promise<void> {
  const done: string[] = [];
  for (const { what, work } of steps) {
    try {
      await work();
    } catch (error) {
      if (done.length === 0) throw error;
      throw new CliError(`${what} could not be restored (${messageOf(error)}); ${done.join(", ")} are.`, {
        next: "Don't start the shop: mend that, and run the same command again with --force.",
      });
    }
    done.push(what);
  }
}

async function inBatches(
  content: AsyncIterable<Buffer>,
  work: (lines: string[]) => Promise<void>,
): Promise<number> {
  let rows = 0;
  let held: string[] = [];
  for await (const line of linesOf(content)) {
    rows++;
    if (held.push(line) < BATCH) continue;
    await work(held);
    held = [];
  }
  if (held.length > 0) await work(held);
  return rows;
}

async function* observed(
  content: AsyncIterable<Buffer>,
  passed: (rows: number) => void,
): AsyncGenerator<Buffer> {
  let rows = 0;
  for await (const chunk of content) {
    for (const byte of chunk) if (byte === 0x0a) rows++;
    passed(rows);
    yield chunk;
  }
}

/** The secrets that the restored shop will have: those of the archive where they can be opened, else those of `dataDir`. */
async function secretsFor(dataDir: string, sealed: string | undefined, passphrase: string | undefined) {
  if (sealed !== undefined && passphrase !== undefined) {
    const secrets = secretsIn(unseal(sealed, passphrase), "secrets.json of the backup");
    return { restored: true as const, secrets, write: () => writeSecrets(dataDir, secrets) };
  }
  return { restored: false as const, secrets: (await keptSecrets(dataDir)).secrets };
}

/**
 * The admin of an embedded shop is let in by what its DATA_DIR keeps: so the account of that address, if the archive has
 * it, takes that password, unless it is the one it has.
 */
async function giveAdminPassword(
  loaders: readonly SqlLoader[],
  { ADMIN_EMAIL, ADMIN_PASSWORD }: { ADMIN_EMAIL: string; ADMIN_PASSWORD: string },
): Promise<string | undefined> {
  const loader = loaders.find(({ store }) => store.services.includes("users"));
  if (!loader) return undefined;
  const { client } = loader.store;
  const { rows } = await client.query<{ password_hash: string }>(
    "SELECT password_hash FROM users.users WHERE email = $1",
    [ADMIN_EMAIL],
  );
  const [account] = rows;
  const passwords = new Passwords();
  if (!account || (await passwords.verify(account.password_hash, ADMIN_PASSWORD))) return undefined;
  await client.query("UPDATE users.users SET password_hash = $2 WHERE email = $1", [
    ADMIN_EMAIL,
    await passwords.hash(ADMIN_PASSWORD),
  ]);
  return ADMIN_EMAIL;
}
