import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import {
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  SpanKind as OtelKind,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Config } from "../config.ts";
import { atMost } from "../waiting.ts";
import { ATTRIBUTES, type Attributes, RESOURCE } from "./names.ts";
import type { Carrier, Span, SpanKind, SpanStart, Tracing } from "./tracing.ts";

/** OpenTelemetry's SDK behind `Tracing`; nothing else imports it. */

/** ms one delivery to the collector may take, its repetitions among it. */
const EXPORT_TIMEOUT = 5_000;
/** ms a stopping node gives to what is left. */
const FAREWELL = 3_000;

const KINDS: Record<SpanKind, OtelKind> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  producer: OtelKind.PRODUCER,
  consumer: OtelKind.CONSUMER,
  internal: OtelKind.INTERNAL,
};

const w3c = new W3CTraceContextPropagator();

export function otelTracing(config: Config): Tracing {
  const exporter = new TellingExporter(
    new OTLPTraceExporter({
      url: `${config.OTEL_EXPORTER_OTLP_ENDPOINT.replace(/\/$/, "")}/v1/traces`,
      headers: config.OTEL_EXPORTER_OTLP_HEADERS,
      timeoutMillis: EXPORT_TIMEOUT,
    }),
  );
  const processor = new BatchSpanProcessor({
    exporter,
    exportTimeoutMillis: EXPORT_TIMEOUT,
    scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
  });
  const sampler = samplerOf(config.OTEL_TRACES_SAMPLER, config.OTEL_TRACES_SAMPLER_ARG);
  const common = commonResource(config);
  const tracers = new Map<string, Tracer>();

  /** Each Moleculer service is one of OpenTelemetry's, also where a process runs several. */
  function tracerOf(service: string): Tracer {
    let tracer = tracers.get(service);
    if (!tracer) {
      const resource = common.merge(resourceFromAttributes({ [RESOURCE.service]: service }));
      tracer = new TracerProvider({ resource, sampler, spanProcessors: [processor] }).getTracer("molecart");
      tracers.set(service, tracer);
    }
    return tracer;
  }

  return {
    start({ service, name, kind, attributes, parent, link }: SpanStart): Span {
      const links = link ? linksOf(link) : [];
      const span = tracerOf(service).startSpan(
        name,
        { kind: KINDS[kind], attributes: attributes ?? {}, links },
        contextOf(parent),
      );
      return new RecordedSpan(span, service);
    },
    tell(log) {
      exporter.log = log;
    },
    async stop() {
      await atMost(
        FAREWELL,
        processor.shutdown().catch(() => undefined),
      );
    },
  };
}

class RecordedSpan implements Span {
  readonly service: string;
  readonly #span: OtelSpan;

  constructor(span: OtelSpan, service: string) {
    this.#span = span;
    this.service = service;
  }

  get context(): Context {
    return trace.setSpan(ROOT_CONTEXT, this.#span);
  }
  get traceId(): string {
    return this.#span.spanContext().traceId;
  }
  get spanId(): string {
    return this.#span.spanContext().spanId;
  }
  get sampled(): boolean {
    return (this.#span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;
  }
  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }
  rename(name: string): void {
    this.#span.updateName(name);
  }
  fail(type: string, isError: boolean): void {
    this.#span.setAttribute(ATTRIBUTES.errorType, type);
    if (isError) this.#span.setStatus({ code: SpanStatusCode.ERROR });
  }
  end(): void {
    this.#span.end();
  }
  carrier(): Carrier {
    const carrier: Record<string, string> = {};
    w3c.inject(this.context, carrier, defaultTextMapSetter);
    return carrier;
  }
}

function contextOf(parent: SpanStart["parent"]): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  if (parent instanceof RecordedSpan) return parent.context;
  return w3c.extract(ROOT_CONTEXT, parent, defaultTextMapGetter);
}

function linksOf(carrier: Carrier) {
  const context = trace.getSpanContext(contextOf(carrier));
  return context ? [{ context }] : [];
}

function samplerOf(name: Config["OTEL_TRACES_SAMPLER"], ratio: number): Sampler {
  const root = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  };
  switch (name) {
    case "always_on":
    case "always_off":
    case "traceidratio":
      return root[name]();
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: root.always_on() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: root.always_off() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: root.traceidratio() });
  }
}

/** What all spans of this process say of where they come from, `OTEL_RESOURCE_ATTRIBUTES` among it. */
function commonResource({ NAMESPACE, NODE_ID }: Config): Resource {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  return defaultResource()
    .merge(detectResources({ detectors: [envDetector] }))
    .merge(
      resourceFromAttributes({
        [RESOURCE.namespace]: NAMESPACE,
        // As Moleculer names a node that was given no name.
        [RESOURCE.node]: NODE_ID || `${hostname().toLowerCase()}-${process.pid}`,
        [RESOURCE.version]: version,
      }),
    );
}

/** Says once that the collector doesn't take spans, and once that it does again. */
class TellingExporter implements SpanExporter {
  log: (message: string, data: object) => void = () => undefined;
  readonly #exporter: SpanExporter;
  #failing = false;

  constructor(exporter: SpanExporter) {
    this.#exporter = exporter;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      const failing = result.code === ExportResultCode.FAILED;
      if (failing !== this.#failing) {
        this.#failing = failing;
        if (failing) this.log("Traces can't be delivered", { error: result.error?.name ?? "unknown" });
        else this.log("Traces are delivered again", {});
      }
      // Lost spans are no error of the shop's: told as one, the SDK would report it for each batch.
      done({ code: ExportResultCode.SUCCESS });
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }
}
