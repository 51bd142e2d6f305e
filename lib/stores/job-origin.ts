import { ATTRIBUTES, type Attributes } from "../tracing/names.ts";
import { currentScope, inScope } from "../tracing/scope.ts";
import { type Carrier, errorOf, tracingOf, withSpan } from "../tracing/tracing.ts";

/** What a job carries of the request that left it, so that whoever handles it can be found by that request's ids. */
export interface Origin {
  request_id: string;
  /** ms since 1970. */
  sent_at: number;
  /** Whose work it is, and W3C's trace context: where the request was traced. */
  service?: string;
  traceparent?: string;
  tracestate?: string;
}

/** ms: a job taken later, such as a reservation's end, is a trace of its own with a link to where it comes from. */
const SAME_TRACE = 60_000;

/** The job's data with its origin; as it is where it comes from no request. */
export function withOrigin(data: object): object {
  const scope = currentScope();
  if (!scope) return data;
  const { requestId, span } = scope;
  const origin: Origin = {
    request_id: requestId,
    sent_at: Date.now(),
    ...(span && tracingOf() ? { service: span.service, ...span.carrier() } : {}),
  };
  return { ...data, origin };
}

/** Handles a job as part of the request, and the trace, that it comes from. */
export async function inOrigin<T>(
  queue: string,
  id: string,
  { origin }: { origin?: Origin },
  work: () => Promise<T>,
): Promise<T> {
  const requestId = origin?.request_id ?? id;
  const tracing = tracingOf();
  if (!tracing) return await inScope({ requestId }, work);
  const carrier = carrierOf(origin);
  const isFresh = origin !== undefined && Date.now() - origin.sent_at < SAME_TRACE;
  const span = tracing.start({
    service: origin?.service ?? "jobs",
    name: `process ${queue}`,
    kind: "consumer",
    attributes: {
      ...jobAttributes("process", queue),
      [ATTRIBUTES.messagingId]: id,
      [ATTRIBUTES.requestId]: requestId,
    },
    ...(carrier && isFresh ? { parent: carrier } : {}),
    ...(carrier && !isFresh ? { link: carrier } : {}),
  });
  return await withSpan(span, requestId, errorOf, work);
}

export function jobAttributes(operation: "send" | "process", queue: string): Attributes {
  return {
    [ATTRIBUTES.messagingSystem]: "pg-boss",
    [ATTRIBUTES.messagingOperation]: operation,
    [ATTRIBUTES.messagingDestination]: queue,
  };
}

function carrierOf({ traceparent, tracestate }: Partial<Origin> = {}): Carrier | undefined {
  if (traceparent === undefined) return undefined;
  return { traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
}
