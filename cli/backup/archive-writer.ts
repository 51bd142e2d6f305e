import { createHash, randomUUID } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { pack as createPack } from "tar-stream";
import { CliError, codeOf, messageOf } from "../lib/errors.ts";
import { DIGEST, MANIFEST, type Manifest, type Section } from "./manifest.ts";

/** Bytes of a part: what is held in memory of a table of any size. */
const PART = 4_000_000;
const NEWLINE = 0x0a;

/** Takes lines: `COPY`'s, or JSON. A chunk may end anywhere. */
export type WriteLines = (chunk: Buffer) => Promise<void>;

/** An archive in the making. It appears under its name only when it is whole. */
export interface ArchiveWriter {
  /** Writes one section; `produce` gives its lines. @returns what the manifest will say of it */
  section(name: string, produce: (write: WriteLines) => Promise<void>): Promise<Section>;
  /** Ends the archive with its manifest and the manifest's digest. */
  finish(manifest: Omit<Manifest, "sections">): Promise<Manifest>;
  /** Gives it up: nothing is left of it. */
  abort(): Promise<void>;
}

/**
 * Begins an archive: a tar, compressed by gzip if `path` ends with `gz`, else by zstd.
 * @param path a file, for its owner alone to read; or a stream
 * @throws CliError where it can't be written, now or later
 */
export async function createArchive(path: string | Writable): Promise<ArchiveWriter> {
  const file = typeof path === "string" ? path : undefined;
  const refuse = (error: unknown): never => {
    const why = codeOf(error) ?? messageOf(error);
    throw new CliError(`${file ?? "Standard output"} can't be written (${why}).`, {
      next: "Choose another place with --out.",
    });
  };
  // The draft takes this name at the end: when all was read, it would be told too late.
  if (file !== undefined && (await isDirectory(file))) refuse({ code: "EISDIR" });
  // Its own, and new: neither another backup's under way, nor a file of somebody who may read it.
  const draft = file === undefined ? undefined : `${file}.${randomUUID().slice(0, 8)}.part`;
  const handle = draft === undefined ? undefined : await open(draft, "wx", 0o600).catch(refuse);
  const output = typeof path === "string" ? handle?.createWriteStream({ flush: true }) : path;
  if (!output) throw new Error("There is nowhere to write to.");
  const pack = createPack();
  const compressor =
    file?.endsWith("gz") === true
      ? createGzip()
      : createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  const written = pipeline(pack, compressor, output, { end: file !== undefined }).catch(refuse);
  // Told to whoever writes next.
  let failure: unknown;
  written.catch((error: unknown) => {
    failure = error;
  });
  const sections: Section[] = [];

  const add = async (name: string, content: Buffer) => {
    if (failure) throw failure;
    await Promise.race([
      written,
      new Promise<void>((resolve, reject) => {
        const entry = pack.entry({ name, size: content.length, mode: 0o600 }, (error) =>
          error ? reject(error) : resolve(),
        );
        entry.on("error", reject).end(content);
      }).catch(refuse),
    ]);
  };

  return {
    async section(name, produce) {
      const hash = createHash("sha256");
      const section = { name, rows: 0, bytes: 0, parts: 0, sha256: "" };
      let held: Buffer[] = [];
      let size = 0;
      const flush = async () => {
        const part = String(section.parts++).padStart(5, "0");
        await add(`${name}/${part}`, Buffer.concat(held));
        held = [];
        size = 0;
      };
      await produce(async (chunk) => {
        hash.update(chunk);
        section.bytes += chunk.length;
        section.rows += lines(chunk);
        held.push(chunk);
        size += chunk.length;
        if (size >= PART) await flush();
      });
      if (size > 0) await flush();
      section.sha256 = hash.digest("hex");
      sections.push(section);
      return section;
    },
    async finish(head) {
      const manifest = { ...head, sections };
      const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
      await add(MANIFEST, text);
      await add(DIGEST, Buffer.from(`${createHash("sha256").update(text).digest("hex")}\n`));
      pack.finalize();
      await written;
      if (file !== undefined && draft !== undefined) await rename(draft, file).catch(refuse);
      return manifest;
    },
    async abort() {
      pack.destroy();
      await written.catch(() => undefined);
      if (draft !== undefined) await rm(draft, { force: true });
    },
  };
}

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function lines(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
