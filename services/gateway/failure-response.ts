import * as failures from "../../lib/errors.ts";
import { failureCode, failureData, InvalidToken, MethodNotAllowed } from "../../lib/errors.ts";

export interface FailureResponse {
  status: number;
  headers: Record<string, string>;
  body: { error: string; code: string; details?: unknown; request_id: string; trace_id?: string };
  /** True for what an operator should look at: a bug or something away. */
  log: boolean;
}

/** Codes whose message and data were written for users. Nothing else that an error says is ever shown. */
const KNOWN = new Map<string, number>(
  Object.values(failures).flatMap((value) => {
    if (typeof value !== "function" || !("code" in value) || !("status" in value)) return [];
    const { code, status } = value;
    return typeof code === "string" && typeof status === "number" ? [[code, status] as const] : [];
  }),
);

const TIMEOUT = {
  status: 504,
  code: "TIMEOUT",
  error: "The shop did not answer in time. It may still have done what was asked.",
};
const AWAY = {
  status: 503,
  code: "SERVICE_UNAVAILABLE",
  error: "The shop can't answer this right now. Try again shortly.",
};
const BUG = { status: 500, code: "INTERNAL_ERROR", error: "Something went wrong on our side." };

/** Moleculer's own failures, by their type: what the client is told instead. */
const MOLECULER = new Map([
  ["REQUEST_TIMEOUT", TIMEOUT],
  ["REQUEST_SKIPPED", TIMEOUT],
  // The node was lost while it worked on the request.
  ["REQUEST_REJECTED", TIMEOUT],
  ["SERVICE_NOT_FOUND", AWAY],
  ["SERVICE_NOT_AVAILABLE", AWAY],
  ["BROKER_DISCONNECTED", AWAY],
  ["QUEUE_FULL", { ...AWAY, error: "The shop is busy. Try again shortly." }],
]);

/** All that GET /api/openapi.json lists as `code` of an error. */
export const ERROR_CODES: readonly string[] = [
  ...new Set([...KNOWN.keys(), ...[TIMEOUT, AWAY, BUG].map(({ code }) => code)]),
].sort();

/**
 * The contract's error shape for any error. 5xx answers carry a request id and nothing of the inside.
 * @param traceId where tracing is on
 */
export function failureResponse(error: unknown, requestId: string, traceId?: string): FailureResponse {
  const ids = { request_id: requestId, ...(traceId === undefined ? {} : { trace_id: traceId }) };
  const code = failureCode(error) ?? "";
  const status = KNOWN.get(code);
  if (status !== undefined && error instanceof Error) {
    const data = failureData(error);
    const details = Object.keys(data).length > 0 && status < 500 ? { details: data } : {};
    return {
      status,
      headers: headersOf(status, code, data),
      body: { error: error.message, code, ...details, ...ids },
      log: status >= 500,
    };
  }
  const { status: general, ...body } = MOLECULER.get(code) ?? (isAway(error) ? AWAY : BUG);
  return {
    status: general,
    headers: headersOf(general, code, {}),
    body: { ...body, ...ids },
    log: true,
  };
}

/** moleculer-web says so, without a type, when nobody offers the route's action yet. */
function isAway(error: unknown): boolean {
  return error instanceof Error && error.name === "ServiceUnavailableError";
}

function headersOf(status: number, code: string, data: Record<string, unknown>): Record<string, string> {
  const { retry_after, allow } = data;
  // RFC 9110 asks it of every 401, RFC 6750 says how.
  if (status === 401)
    return { "WWW-Authenticate": code === InvalidToken.code ? 'Bearer error="invalid_token"' : "Bearer" };
  if (code === MethodNotAllowed.code && Array.isArray(allow)) return { Allow: allow.join(", ") };
  if (typeof retry_after === "number") return { "Retry-After": String(Math.max(1, Math.ceil(retry_after))) };
  return status === 503 ? { "Retry-After": "1" } : {};
}
