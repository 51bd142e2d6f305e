import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { extract } from "tar-stream";
import { Check } from "typebox/value";
import { CliError, codeOf, messageOf } from "../lib/errors.ts";
import { DIGEST, FORMAT, MANIFEST, Manifest } from "./manifest.ts";

const GZIP = Buffer.from([0x1f, 0x8b]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

interface Entry {
  /** The section's name, or that of a file of the archive's own. */
  name: string;
  content: AsyncIterable<Buffer>;
}

/** @throws CliError in one sentence, whatever is wrong with it; nothing has been changed then */
class BadArchive extends CliError {
  constructor(
    path: string,
    why: string,
    next = "Take another backup: this one was not used, and nothing was changed.",
  ) {
    super(`${path} is no whole backup: ${why}.`, { next });
  }
}

/**
 * Reads an archive from its beginning to its end and proves that it is as it was written.
 * @param passed is told how many bytes of the file were read; must not throw
 * @throws BadArchive; the signal's reason once it is aborted
 */
export async function checkArchive(
  path: string,
  passed: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<Manifest> {
  const found = new Map<string, { hash: Hash; bytes: number; parts: number }>();
  const own = new Map<string, Buffer>();
  for await (const { name, content } of entriesOf(path, passed)) {
    if (name === MANIFEST || name === DIGEST) {
      own.set(name, await buffer(content));
      continue;
    }
    const section = found.get(name) ?? { hash: createHash("sha256"), bytes: 0, parts: 0 };
    found.set(name, section);
    section.parts++;
    for await (const chunk of content) {
      signal?.throwIfAborted();
      section.hash.update(chunk);
      section.bytes += chunk.length;
    }
  }
  const manifest = manifestOf(path, own.get(MANIFEST), own.get(DIGEST));
  for (const { name, bytes, parts, sha256 } of manifest.sections) {
    const section = found.get(name);
    found.delete(name);
    const digest = (section?.hash ?? createHash("sha256")).digest("hex");
    if ((section?.bytes ?? 0) !== bytes || (section?.parts ?? 0) !== parts || digest !== sha256)
      throw new BadArchive(path, `${name} is not what was written`);
  }
  const [stranger] = found.keys();
  if (stranger !== undefined) throw new BadArchive(path, `${stranger} was not part of it`);
  return manifest;
}

function manifestOf(path: string, text: Buffer | undefined, digest: Buffer | undefined): Manifest {
  if (!text || !digest) throw new BadArchive(path, "its end is missing");
  if (createHash("sha256").update(text).digest("hex") !== digest.toString().trim())
    throw new BadArchive(path, "its manifest is not what was written");
  const manifest: unknown = JSON.parse(text.toString());
  const format = Object(manifest).format;
  if (typeof format === "number" && format > FORMAT)
    throw new BadArchive(
      path,
      `it is of format ${format}`,
      "Restore it with the molecart that made it, or a newer one.",
    );
  if (!Check(Manifest, manifest)) throw new BadArchive(path, "its manifest is not one");
  return manifest;
}

/** The archive's sections, each part after the other, in the order in which they were written. @throws BadArchive */
async function* entriesOf(
  path: string,
  passed: (bytes: number) => void = () => undefined,
): AsyncGenerator<Entry> {
  const decompressor = await decompressorOf(path);
  const file = createReadStream(path);
  file.on("data", (chunk) => passed(chunk.length));
  const tar = extract();
  file.once("error", (error) => tar.destroy(error));
  decompressor.once("error", (error) => tar.destroy(error));
  file.pipe(decompressor).pipe(tar);
  try {
    for await (const entry of tar) {
      const { name } = entry.header;
      const section = name === MANIFEST || name === DIGEST ? name : name.replace(/\/\d+$/, "");
      yield { name: section, content: bytesOf(path, entry) };
      entry.resume();
    }
  } catch (error) {
    // What whoever reads has thrown is theirs.
    if (error instanceof CliError) throw error;
    throw broken(path, error);
  } finally {
    file.destroy();
    decompressor.destroy();
  }
}

/** The archive's sections, each whole, whatever parts it was written in. @throws BadArchive */
export async function* sectionsOf(path: string): AsyncGenerator<Entry> {
  const entries = entriesOf(path);
  try {
    let current = await entries.next();
    while (!current.done) {
      const { name } = current.value;
      const content = (async function* () {
        while (!current.done && current.value.name === name) {
          yield* current.value.content;
          current = await entries.next();
        }
      })();
      yield { name, content };
      // What nobody wanted.
      for await (const _ of content);
    }
  } finally {
    await entries.return(undefined);
  }
}

async function* bytesOf(path: string, entry: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  const chunks = entry[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw broken(path, error);
    });
    if (next.done) return;
    if (Buffer.isBuffer(next.value)) yield next.value;
  }
}

const broken = (path: string, error: unknown) =>
  new BadArchive(path, `it ends too early or was altered (${messageOf(error)})`);

async function decompressorOf(path: string) {
  const head = Buffer.alloc(ZSTD.length);
  try {
    if ((await stat(path)).isDirectory()) throw new BadArchive(path, "it is a directory");
    const file = await open(path);
    try {
      await file.read(head, 0, head.length, 0);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${path} can't be read (${codeOf(error) ?? messageOf(error)}).`, {
      next: "Name a file that `molecart backup` made.",
    });
  }
  if (head.equals(ZSTD)) return createZstdDecompress();
  if (head.subarray(0, GZIP.length).equals(GZIP)) return createGunzip();
  throw new BadArchive(path, "it is neither zstd nor gzip");
}
