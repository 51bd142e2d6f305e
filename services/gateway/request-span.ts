import type { IncomingMessage, ServerResponse } from "node:http";
import { ATTRIBUTES } from "../../lib/tracing/names.ts";
import { type Carrier, type Span, tracingOf } from "../../lib/tracing/tracing.ts";
import type { Visit } from "./visit.ts";

/**
 * The span of a request, as OpenTelemetry's conventions for HTTP servers have it, less what may be personal: the
 * address asked for (the route stands for it), its query, and who asks.
 */

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** What anyone can make up counts as one. */
export function methodOf({ method = "" }: IncomingMessage): string {
  return METHODS.has(method) ? method : "OTHER";
}

/** Who hung up before the answer has no status: 499, as nginx counts it. */
export function statusOf(res: ServerResponse): number {
  return res.headersSent ? res.statusCode : 499;
}

/** The span of a request that has come, in the trace that the client names, else in a new one. */
export function openSpan(req: IncomingMessage, requestId: string): Span | undefined {
  const tracing = tracingOf();
  if (!tracing) return undefined;
  const method = methodOf(req);
  const attributes = { [ATTRIBUTES.httpMethod]: method, [ATTRIBUTES.requestId]: requestId };
  return tracing.start({
    service: "gateway",
    name: method,
    kind: "server",
    attributes,
    parent: carrierOf(req),
  });
}

export function closeSpan(span: Span, req: IncomingMessage, res: ServerResponse, { route }: Visit): void {
  const status = statusOf(res);
  span.rename(`${methodOf(req)} ${route}`);
  span.set({ [ATTRIBUTES.httpRoute]: route, [ATTRIBUTES.httpStatus]: status });
  if (status >= 400) span.fail(String(status), status >= 500);
  span.end();
}

/** W3C's headers; what isn't valid there is passed over by whoever reads it. */
function carrierOf({ headers }: IncomingMessage): Carrier {
  const { traceparent, tracestate } = headers;
  if (typeof traceparent !== "string") return {};
  return { traceparent, ...(typeof tracestate === "string" ? { tracestate } : {}) };
}
