import type { IncomingMessage } from "node:http";
import getRawBody from "raw-body";
import type { TSchema } from "typebox";
import type { ActionSpec } from "../../lib/contract.ts";
import { MalformedRequest, PayloadTooLarge, UnsupportedMediaType } from "../../lib/errors.ts";

/** Deeper than any honest request, and shallow enough that no recursion over it can overflow. */
const MAX_DEPTH = 32;
/** Strict, and leaves a byte order mark in: a signature covers it too. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The media type of the body in lower case without its parameters; empty if there is none. */
export function mediaType(req: IncomingMessage): string {
  return (req.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

export function hasBody(req: IncomingMessage): boolean {
  return req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0;
}

/** @throws UnsupportedMediaType */
export function assertNotCompressed(req: IncomingMessage): void {
  const encoding = req.headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new UnsupportedMediaType({ expected: "plain UTF-8, not compressed" });
  }
}

/** Reads the body as text. @throws PayloadTooLarge, MalformedRequest, UnsupportedMediaType */
export async function readText(req: IncomingMessage, limit: number): Promise<string> {
  assertNotCompressed(req);
  let bytes: Buffer;
  try {
    bytes = await getRawBody(req, { limit, length: req.headers["content-length"] ?? null });
  } catch (error) {
    if (error instanceof Error && "type" in error && error.type === "entity.too.large") {
      throw new PayloadTooLarge({ limit_bytes: limit });
    }
    throw new MalformedRequest({ reason: "The body ended early." });
  }
  try {
    return utf8.decode(bytes);
  } catch {
    throw new MalformedRequest({ reason: "The body is not valid UTF-8." });
  }
}

/** Reads a JSON object. No body counts as an empty one. @throws UnsupportedMediaType, PayloadTooLarge, MalformedRequest */
export async function readJson(req: IncomingMessage, limit: number): Promise<Record<string, unknown>> {
  if (!hasBody(req)) return {};
  const type = mediaType(req);
  const charset = /;\s*charset="?([^\s;"]+)/i.exec(req.headers["content-type"] ?? "")?.[1] ?? "utf-8";
  if ((type !== "application/json" && !type.endsWith("+json")) || !/^(?:utf-8|us-ascii)$/i.test(charset)) {
    throw new UnsupportedMediaType({ expected: "application/json" });
  }
  const text = await readText(req, limit);
  if (text.trim() === "") return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new MalformedRequest({ reason: "The body is not valid JSON." });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new MalformedRequest({ reason: "The body must be a JSON object." });
  }
  assertClean(parsed, 0);
  return { ...parsed };
}

/**
 * Refuses what passes a schema and still breaks things behind it: a `__proto__` key (it would set a prototype), a NUL
 * in a string (Postgres can't store one), nesting without end.
 */
export function assertClean(value: unknown, depth: number): void {
  if (typeof value === "string") {
    if (value.includes("\u0000") || !value.isWellFormed()) {
      throw new MalformedRequest({ reason: "A text holds a NUL or a broken character." });
    }
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (depth >= MAX_DEPTH) throw new MalformedRequest({ reason: "The body is nested too deeply." });
  for (const [key, inner] of Object.entries(value)) {
    if (key === "__proto__")
      throw new MalformedRequest({ reason: "The body has a key that is not allowed." });
    assertClean(key, depth);
    assertClean(inner, depth + 1);
  }
}

/**
 * The query as an object. A key given twice is refused, where it would otherwise be anyone's guess which counts.
 * @throws MalformedRequest
 */
export function readQuery(url: string): Record<string, string> {
  const start = url.indexOf("?");
  const query: Record<string, string> = {};
  if (start === -1) return query;
  for (const pair of url.slice(start + 1).split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const key = decodeQuery(equals === -1 ? pair : pair.slice(0, equals));
    if (Object.hasOwn(query, key))
      throw new MalformedRequest({ reason: `The query has ${key} more than once.` });
    if (key === "__proto__")
      throw new MalformedRequest({ reason: "The query has a key that is not allowed." });
    query[key] = equals === -1 ? "" : decodeQuery(pair.slice(equals + 1));
  }
  return query;
}

const ENCODED = /[%+]/;

/** URLSearchParams would turn broken encoding into other characters, silently. */
function decodeQuery(text: string): string {
  if (!ENCODED.test(text)) return text;
  let decoded: string;
  try {
    decoded = decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new MalformedRequest({ reason: "The query is not valid percent-encoding." });
  }
  assertClean(decoded, 0);
  return decoded;
}

/** Path and query are text: turns `"3"` into 3 and `"true"` into true where the contract wants that. */
export function convertText(spec: ActionSpec, values: Record<string, string>): Record<string, unknown> {
  const converted: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    const schema = Object.hasOwn(spec.params.properties, key) ? spec.params.properties[key] : undefined;
    converted[key] = schema === undefined ? value : convert(schema, value);
  }
  return converted;
}

const INTEGER = /^-?\d{1,15}$/;
const NUMBER = /^-?\d{1,15}(\.\d{1,15})?$/;
const BOOLEAN = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/** Text that isn't exactly such a value stays text, for the contract to refuse: 1.5 is no product's id, not product 1. */
function convert(schema: TSchema, text: string): unknown {
  switch ("type" in schema ? schema.type : undefined) {
    case "integer":
      return INTEGER.test(text) ? Number(text) : text;
    case "number":
      return NUMBER.test(text) ? Number(text) : text;
    case "boolean":
      return BOOLEAN.get(text) ?? text;
    default:
      return text;
  }
}
