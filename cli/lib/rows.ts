import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { CliError, codeOf, Misuse } from "./errors.ts";

export type Format = "ndjson" | "csv";
export const MEDIA_TYPES = { ndjson: "application/x-ndjson", csv: "text/csv" } as const;

/** The format that was asked for, else the one the file's name tells. @throws Misuse if neither does */
export function formatOf(format: Format | undefined, file: string): Format {
  if (format) return format;
  if (/\.csv$/i.test(file)) return "csv";
  if (/\.(ndjson|jsonl)$/i.test(file)) return "ndjson";
  throw new Misuse(
    `${file === "-" ? "Standard input" : file} doesn't tell its format.`,
    "Say it with --format ndjson or --format csv.",
  );
}

const WHY = new Map<unknown, string>([
  ["ENOENT", "there is no such file"],
  ["EACCES", "its permissions are not for you"],
  ["EISDIR", "it is a directory"],
]);

/** A file's bytes, and how many there are if that is known. @throws CliError if it can't be read */
export async function openFile(file: string): Promise<{ source: Readable; size: number | undefined }> {
  try {
    const handle = await open(file);
    const stats = await handle.stat();
    if (!stats.isDirectory()) {
      return { source: handle.createReadStream(), size: stats.isFile() ? stats.size : undefined };
    }
    await handle.close();
    throw Object.assign(new Error(), { code: "EISDIR" });
  } catch (error) {
    throw new CliError(`${file} can't be read: ${WHY.get(codeOf(error)) ?? codeOf(error)}.`, {
      next: "Name another file, or - for standard input.",
    });
  }
}

/** One row as one line of NDJSON or CSV, its end included. @param columns of CSV, in their order */
export function lineOf(row: Record<string, unknown>, format: Format, columns: readonly string[]): string {
  if (format === "ndjson") return `${JSON.stringify(row)}\n`;
  return `${columns.map((column) => cell(row[column])).join(",")}\n`;
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = Array.isArray(value) ? value.join("|") : String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Bytes as they pass. */
export async function* counted(
  source: Readable | AsyncIterable<Uint8Array>,
  passed: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    passed(bytes.length);
    yield bytes;
  }
}
