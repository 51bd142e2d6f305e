import type { IncomingMessage, ServerResponse } from "node:http";
import { currentScope } from "../../lib/tracing/scope.ts";
import { failureResponse } from "./failure-response.ts";
import { visitOf } from "./visit.ts";

export type Log = (message: string, data: object) => void;

interface AnswerOptions {
  headers?: Readonly<Record<string, string>>;
  /** The cacher may give this very object to the next request too: what it is as JSON is kept with it. */
  isShared?: boolean;
}

/** Sends JSON, or nothing where there is nothing to say. */
export function answerJson(
  res: ServerResponse,
  status: number,
  data: unknown,
  { headers = {}, isShared = false }: AnswerOptions = {},
): void {
  if (data === null || data === undefined || status === 204) {
    res.writeHead(status, headers).end();
    return;
  }
  // A string leaves in one write together with the head, a buffer in two.
  const { body, length, encoding } = isShared && typeof data === "object" ? sharedText(data) : textOf(data);
  res.writeHead(status, {
    ...headers,
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": length,
  });
  // Node leaves the body of an answer to HEAD out.
  res.end(body, encoding);
}

interface Text {
  body: string;
  /** Bytes. */
  length: number;
  /** What is ASCII alone is the same in both, and as latin1 it needs no looking through. */
  encoding: "latin1" | "utf8";
}

function textOf(data: unknown): Text {
  const body = JSON.stringify(data);
  const length = Buffer.byteLength(body);
  return { body, length, encoding: length === body.length ? "latin1" : "utf8" };
}

const texts = new WeakMap<object, Text>();

/** The text lives as long as the object does: when the cacher forgets the one, the other is gone too. */
function sharedText(data: object): Text {
  let text = texts.get(data);
  if (!text) {
    text = textOf(data);
    texts.set(data, text);
  }
  return text;
}

/** Sends a document that is the same for everyone; one that the client has already is not sent again. */
export function answerDocument(
  req: IncomingMessage,
  res: ServerResponse,
  document: { type: string; body: Buffer; etag: string },
): void {
  res.setHeader("ETag", document.etag);
  res.setHeader("Cache-Control", "no-cache");
  const known = req.headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (known?.includes(document.etag) || known?.includes("*")) {
    res.writeHead(304).end();
    return;
  }
  res.writeHead(200, { "Content-Type": document.type, "Content-Length": document.body.length });
  res.end(document.body);
}

/**
 * Sends an error in the contract's shape, if nothing was sent yet.
 * @param headers what the action wanted on its answer, also on this one
 */
export function answerFailure(
  req: IncomingMessage,
  res: ServerResponse,
  error: unknown,
  log: Log,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { requestId } = visitOf(req);
  const shown = failureResponse(error, requestId, currentScope()?.span?.traceId);
  if (shown.log) {
    log("Request failed", {
      method: req.method,
      status: shown.status,
      error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      stack: shown.status === 500 && error instanceof Error ? error.stack : undefined,
    });
  }
  if (res.writableEnded) return;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  answerJson(res, shown.status, shown.body, { headers: { ...headers, ...shown.headers } });
}
