import type { Readable } from "node:stream";
import { Misuse } from "./errors.ts";

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
