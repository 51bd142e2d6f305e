import { once } from "node:events";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";

/** A span as the collector was told of it. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  /** The resource's `service.name`. */
  service: string;
  name: string;
  /** OTLP's number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  attributes: Record<string, string>;
  links: string[];
}

export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: ReceivedSpan[];
  /** All that came, word for word. */
  bodies: string[];
  stop: () => Promise<void>;
}

interface OtlpAttribute {
  key: string;
  value: Record<string, string | number | boolean>;
}
interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes?: OtlpAttribute[];
  links?: { traceId: string }[];
}
interface OtlpTraces {
  resourceSpans: { resource: { attributes: OtlpAttribute[] }; scopeSpans: { spans: OtlpSpan[] }[] }[];
}

/** An OpenTelemetry collector that takes OTLP over HTTP as JSON, and keeps what it is sent. */
export async function startCollector(): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const bodies: string[] = [];
  const server = createServer(async (req, res) => {
    if (req.method !== "POST" || req.url !== "/v1/traces") {
      res.writeHead(404).end();
      return;
    }
    const body: unknown = await json(req);
    bodies.push(JSON.stringify(body));
    if (isTraces(body)) spans.push(...spansOf(body));
    res.writeHead(200, { "Content-Type": "application/json" }).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("The collector does not listen.");
  return {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    bodies,
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function isTraces(body: unknown): body is OtlpTraces {
  return typeof body === "object" && body !== null && "resourceSpans" in body;
}

function spansOf({ resourceSpans }: OtlpTraces): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId, parentSpanId = "", name, kind, attributes = [], links = [] }) => ({
        traceId,
        spanId,
        parentSpanId,
        name,
        kind,
        service: valuesOf(resource.attributes)["service.name"] ?? "",
        attributes: valuesOf(attributes),
        links: links.map((link) => link.traceId),
      })),
    ),
  );
}

function valuesOf(attributes: OtlpAttribute[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0] ?? "")]));
}

/** Which service called which, in these spans: `orders → inventory`, each once, sorted. */
export function edgesOf(spans: readonly ReceivedSpan[]): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const edges = spans.flatMap(({ parentSpanId, service }) => {
    const parent = byId.get(parentSpanId);
    return parent && parent.service !== service ? [`${parent.service} → ${service}`] : [];
  });
  return [...new Set(edges)].sort();
}
