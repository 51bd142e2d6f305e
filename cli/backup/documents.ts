import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Connection } from "mongoose";
import { mongoOptions } from "../../lib/stores/mongo-adapter.ts";
import { onOneLine } from "../../lib/stores/one-line.ts";
import { CliError, codeOf, messageOf } from "../lib/errors.ts";
import type { WriteLines } from "./archive-writer.ts";
import { linesOf } from "./lines.ts";
import type { DocumentCollection } from "./manifest.ts";

const BATCH = 500;
const REACH = 2_000;

/** Where a shop's documents are: the same lines of JSON in and out, whichever it is. */
export interface DocumentStore {
  /** For messages. */
  where: string;
  /** How many documents there are. */
  count(collection: DocumentCollection): Promise<number>;
  dump(collection: DocumentCollection, write: WriteLines): Promise<void>;
  /** Takes documents aside, out of the shop's sight. */
  begin(collection: DocumentCollection): Promise<DocumentDraft>;
  close(): Promise<void>;
}

export interface DocumentDraft {
  add(lines: readonly string[]): Promise<void>;
  /** Puts it in the place of what was there. */
  publish(): Promise<void>;
  discard(): Promise<void>;
}

/** NeDB's files. A shop may be writing to them: what was written whole by now is read. */
export function documentFiles(dataDir: string): DocumentStore {
  const pathOf = (collection: DocumentCollection) => join(dataDir, "documents", `${collection}.db`);
  return {
    where: join(dataDir, "documents"),
    close: async () => undefined,
    async count(collection) {
      return (await reading(pathOf(collection), async (file) => (await lastLines(file)).last.size)) ?? 0;
    },
    async dump(collection, write) {
      await reading(pathOf(collection), (file) => dumpFile(file, write));
    },
    async begin(collection) {
      const path = pathOf(collection);
      const draft = `${path}.restoring`;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rm(draft, { force: true });
      const file = await open(draft, "wx", 0o600);
      return {
        async add(lines) {
          await file.appendFile(lines.map((line) => `${onOneLine(line)}\n`).join(""));
        },
        async publish() {
          await file.sync();
          await file.close();
          await rename(draft, path);
        },
        async discard() {
          await file.close();
          await rm(draft, { force: true });
        },
      };
    },
  };
}

/**
 * Opens a file once for all that is read of it: a shop that starts meanwhile puts another in its place, with the same
 * documents on other lines.
 * @returns undefined if there is none
 */
async function reading<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T | undefined> {
  const file = await open(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new CliError(`${path} can't be read (${codeOf(error)}).`, { next: "Mend its permissions." });
  });
  try {
    return file && (await work(file));
  } finally {
    await file?.close();
  }
}

async function dumpFile(file: FileHandle, write: WriteLines): Promise<void> {
  const { last, size } = await lastLines(file);
  let held = "";
  for await (const [number, line] of numbered(file, size)) {
    const id = idOf(line);
    if (id === undefined || last.get(id) !== number) continue;
    held += `${line}\n`;
    if (held.length < 65_536) continue;
    await write(Buffer.from(held));
    held = "";
  }
  if (held !== "") await write(Buffer.from(held));
}

/** The line on which each living document stands last: in memory, an id a document. */
async function lastLines(file: FileHandle): Promise<{ last: Map<string, number>; size: number }> {
  const last = new Map<string, number>();
  const { size } = await file.stat();
  for await (const [number, line] of numbered(file, size)) {
    const id = idOf(line);
    if (id === undefined) continue;
    if (line.includes('"$$deleted":true')) last.delete(id);
    else last.set(id, number);
  }
  return { last, size };
}

async function* numbered(file: FileHandle, size: number): AsyncGenerator<[number, string]> {
  if (size === 0) return;
  let number = 0;
  const content = file.createReadStream({ start: 0, end: size - 1, autoClose: false });
  for await (const line of linesOf(content)) yield [number++, line];
}

/** Undefined for an index, and for a line that a crash has cut: NeDB leaves both out, too. */
function idOf(line: string): string | undefined {
  try {
    const { _id } = JSON.parse(line);
    return typeof _id === "string" ? _id : undefined;
  } catch {
    return undefined;
  }
}

/** @throws CliError if it can't be reached */
export async function mongoDocuments(url: string): Promise<DocumentStore> {
  const { default: mongoose } = await import("mongoose");
  const connection = mongoose.createConnection();
  try {
    await connection.openUri(url, { ...mongoOptions(url), serverSelectionTimeoutMS: REACH, maxPoolSize: 2 });
  } catch (error) {
    await connection.close().catch(() => undefined);
    throw new CliError(`The MongoDB of MONGO_URL can't be reached (${messageOf(error).split("\n")[0]}).`, {
      next: "Start it, or mend MONGO_URL.",
    });
  }
  return {
    where: `MongoDB ${connection.host}:${connection.port}/${connection.name}`,
    close: () => connection.close(),
    count: (collection) => connection.collection(collection).countDocuments(),
    async dump(collection, write) {
      const cursor = connection.collection(collection).find({}, { batchSize: BATCH });
      for await (const document of cursor) await write(Buffer.from(`${JSON.stringify(document)}\n`));
    },
    begin: (collection) => beginCollection(connection, collection),
  };
}

async function beginCollection(
  connection: Connection,
  collection: DocumentCollection,
): Promise<DocumentDraft> {
  const draft = `${collection}_restoring`;
  const drop = async (name: string) => {
    await connection.dropCollection(name).catch((error: unknown) => {
      if (codeOf(error) !== NAMESPACE_NOT_FOUND) throw error;
    });
  };
  await drop(draft);
  await connection.createCollection(draft);
  return {
    async add(lines) {
      if (lines.length > 0)
        await connection.collection(draft).insertMany(lines.map((line) => JSON.parse(line)));
    },
    async publish() {
      await drop(collection);
      await connection.collection(draft).rename(collection);
    },
    discard: () => drop(draft),
  };
}

const NAMESPACE_NOT_FOUND = 26;
