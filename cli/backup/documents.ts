import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Connection } from "mongoose";
import { mongoOptions } from "../../lib/stores/mongo-adapter.ts";
import { CliError, codeOf, messageOf } from "../lib/errors.ts";
import type { WriteLines } from "./archive-writer.ts";
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
      return (await lastLines(pathOf(collection))).last.size;
    },
    async dump(collection, write) {
      const path = pathOf(collection);
      const { last, size } = await lastLines(path);
      let held = "";
      for await (const [number, line] of linesOf(path, size)) {
        const id = idOf(line);
        if (id === undefined || last.get(id) !== number) continue;
        held += `${line}\n`;
        if (held.length < 65_536) continue;
        await write(Buffer.from(held));
        held = "";
      }
      if (held !== "") await write(Buffer.from(held));
    },
    async begin(collection) {
      const path = pathOf(collection);
      const draft = `${path}.restoring`;
      await mkdir(dirname(path), { recursive: true });
      const file = createWriteStream(draft, { flush: true });
      const close = async () => {
        if (file.closed) return;
        file.end();
        await once(file, "close");
      };
      await once(file, "open");
      return {
        async add(lines) {
          if (!file.write(lines.map((line) => `${line}\n`).join(""))) await once(file, "drain");
        },
        async publish() {
          await close();
          await rename(draft, path);
        },
        async discard() {
          await close();
          await rm(draft, { force: true });
        },
      };
    },
  };
}

/** The line on which each living document stands last: in memory, an id a document. */
async function lastLines(path: string): Promise<{ last: Map<string, number>; size: number }> {
  const last = new Map<string, number>();
  const size = await stat(path).then(
    (file) => file.size,
    (error: unknown) => {
      if (codeOf(error) === "ENOENT") return 0;
      throw new CliError(`${path} can't be read (${codeOf(error)}).`, { next: "Mend its permissions." });
    },
  );
  for await (const [number, line] of linesOf(path, size)) {
    const id = idOf(line);
    if (id === undefined) continue;
    if (line.includes('"$$deleted":true')) last.delete(id);
    else last.set(id, number);
  }
  return { last, size };
}

async function* linesOf(path: string, size: number): AsyncGenerator<[number, string]> {
  if (size === 0) return;
  const lines = createInterface({
    input: createReadStream(path, { end: size - 1 }),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  let number = 0;
  for await (const line of lines) yield [number++, line];
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
