import type { Config } from "../config.ts";
import { ATTRIBUTES, type Attributes } from "./names.ts";
import { currentScope, inScope } from "./scope.ts";

/**
 * Traces, where `OTEL_EXPORTER_OTLP_ENDPOINT` says where to send them. Without it nothing of OpenTelemetry is loaded and
 * what stands here costs a comparison.
 *
 * A trace begins with a request at the gateway or with a job; what is done for neither (polling, sweeping) makes no
 * spans. In a trace that is not sampled only its ids are handed on.
 */

export type SpanKind = "server" | "client" | "producer" | "consumer" | "internal";

/** A trace's context as W3C's headers: `traceparent`, `tracestate`. */
export type Carrier = Readonly<Record<string, string>>;

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** False: it is not recorded, nor is anything below it. */
  readonly sampled: boolean;
  /** The Moleculer service that it belongs to. */
  readonly service: string;
  set(attributes: Attributes): void;
  rename(name: string): void;
  /** @param isError whether it is somebody's fault here; a refusal isn't. @param type a code, never a message */
  fail(type: string, isError: boolean): void;
  end(): void;
  carrier(): Carrier;
}

export interface SpanStart {
  service: string;
  name: string;
  kind: SpanKind;
  attributes?: Attributes;
  /** None: a new trace begins. */
  parent?: Span | Carrier;
  /** What it comes from without being part of it. */
  link?: Carrier;
}

export interface Tracing {
  start(span: SpanStart): Span;
  /** Sends what is left, for a few seconds at most. */
  stop(): Promise<void>;
  /** Where a lasting trouble with the collector is said, once. */
  tell(log: (message: string, data: object) => void): void;
}

let tracing: Tracing | undefined;

/** Once a process, before its stores are opened. Does nothing where no endpoint is configured. */
export async function startTracing(config: Config): Promise<void> {
  if (tracing || config.OTEL_EXPORTER_OTLP_ENDPOINT === "") return;
  const [{ otelTracing }, { traceStores }] = await Promise.all([import("./otel.ts"), import("./stores.ts")]);
  tracing = otelTracing(config);
  traceStores();
}

export async function stopTracing(): Promise<void> {
  const current = tracing;
  tracing = undefined;
  await current?.stop();
}

export function tracingOf(): Tracing | undefined {
  return tracing;
}

/** The span under way, if what is done now is recorded. */
function recordedSpan(): Span | undefined {
  if (!tracing) return undefined;
  const span = currentScope()?.span;
  return span?.sampled ? span : undefined;
}

/** A child of the span under way, in its service; undefined where nothing is recorded. The caller ends it. */
export function childSpan(start: Omit<SpanStart, "service" | "parent">): Span | undefined {
  const parent = recordedSpan();
  return parent && tracing?.start({ ...start, service: parent.service, parent });
}

/** Runs `work` as part of a span, and ends that with it. */
export async function withSpan<T>(
  span: Span,
  requestId: string,
  typeOf: (error: unknown) => { type: string; isError: boolean },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await inScope({ requestId, span }, work);
  } catch (error) {
    const { type, isError } = typeOf(error);
    span.fail(type, isError);
    throw error;
  } finally {
    span.end();
  }
}

/** The same as a child of the span under way; just runs it where nothing is recorded. */
export async function traced<T>(
  start: Omit<SpanStart, "service" | "parent">,
  work: () => Promise<T>,
): Promise<T> {
  const span = childSpan(start);
  const scope = currentScope();
  return span && scope ? await withSpan(span, scope.requestId, errorOf, work) : await work();
}

/** An error by its class, never by its text: that may hold what is nobody's business. */
export function errorOf(error: unknown): { type: string; isError: boolean } {
  return { type: error instanceof Error ? error.name : "unknown", isError: true };
}

export { ATTRIBUTES };
