import * as failures from "../../lib/errors.ts";
import { failureCode, failureData } from "../../lib/errors.ts";

export interface FailureResponse {
  status: number;
  headers: Record<string, string>;
  body: { error: string; code: string; details?: unknown; request_id: string };
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

/** Moleculer's own failures, by their type: what the client is told instead. */
const MOLECULER: Record<string, { status: number; code: string; error: string }> = {
  REQUEST_TIMEOUT: {
    status: 504,
    code: "TIMEOUT",
    error: "The shop did not answer in time. It may still have done what was asked.",
  },
  REQUEST_SKIPPED: {
    status: 504,
    code: "TIMEOUT",
    error: "The shop did not answer in time. It may still have done what was asked.",
  },
  REQUEST_REJECTED: {
    status: 503,
    code: "SERVICE_UNAVAILABLE",
    error: "The shop can't answer this right now. Try again shortly.",
  },
  SERVICE_NOT_FOUND: {
    status: 503,
    code: "SERVICE_UNAVAILABLE",
    error: "The shop can't answer this right now. Try again shortly.",
  },
  SERVICE_NOT_AVAILABLE: {
    status: 503,
    code: "SERVICE_UNAVAILABLE",
    error: "The shop can't answer this right now. Try again shortly.",
  },
  QUEUE_FULL: { status: 503, code: "SERVICE_UNAVAILABLE", error: "The shop is busy. Try again shortly." },
};

/** The contract's error shape for any error. 5xx answers carry a request id and nothing of the inside. */
export function failureResponse(error: unknown, requestId: string): FailureResponse {
  const code = failureCode(error) ?? "";
  const status = KNOWN.get(code);
  if (status !== undefined && error instanceof Error) {
    const data = failureData(error);
    const retryAfter = data.retry_after;
    const details = Object.keys(data).length > 0 && status < 500 ? { details: data } : {};
    return {
      status,
      headers:
        typeof retryAfter === "number" ? { "Retry-After": String(Math.max(1, Math.ceil(retryAfter))) } : {},
      body: { error: error.message, code, ...details, request_id: requestId },
      log: status >= 500,
    };
  }
  const moleculer = MOLECULER[code];
  if (moleculer) {
    return {
      status: moleculer.status,
      headers: moleculer.status === 503 ? { "Retry-After": "1" } : {},
      body: { error: moleculer.error, code: moleculer.code, request_id: requestId },
      log: true,
    };
  }
  return {
    status: 500,
    headers: {},
    body: { error: "Something went wrong on our side.", code: "INTERNAL_ERROR", request_id: requestId },
    log: true,
  };
}
