import { AsyncLocalStorage } from "node:async_hooks";
import type { Span } from "./tracing.ts";

/** What a piece of work is done for, wherever in its call tree one looks. */
export interface Scope {
  /** The request's id, on every node that works for it and in the jobs that it left. */
  requestId: string;
  /** Where tracing is on: the span that what is done now belongs to. */
  span?: Span;
}

const scopes = new AsyncLocalStorage<Scope>();

export function currentScope(): Scope | undefined {
  return scopes.getStore();
}

export function inScope<T>(scope: Scope, work: () => T): T {
  return scopes.run(scope, work);
}

/** What every log line says of the work it was written in. */
export function logFields(): Record<string, string> {
  const scope = scopes.getStore();
  if (!scope) return {};
  const { requestId, span } = scope;
  return { request_id: requestId, ...(span ? { trace_id: span.traceId, span_id: span.spanId } : {}) };
}
