import type { Context, Middleware, Service, ServiceBroker } from "moleculer";
import { failureCode, isDefinite } from "../lib/errors.ts";
import { ATTRIBUTES } from "../lib/tracing/names.ts";
import { currentScope, inScope } from "../lib/tracing/scope.ts";
import { type Carrier, errorOf, type SpanStart, tracingOf, withSpan } from "../lib/tracing/tracing.ts";
import { specOf } from "./contract.ts";

/**
 * Has what is done for a request know it: its id on every node, for log lines and jobs, and, where tracing is on, a span
 * for each call at either end and for each plain event. A trace crosses NATS in the packet's headers.
 */
export function tracingMiddleware(): Middleware {
  return {
    name: "Tracing",
    localAction(next, { name = "" }) {
      if (!specOf(name)) return next;
      const attributes = rpcAttributes(name);
      return function (this: Service, ctx: Context) {
        return run(ctx, serviceOf(name), { name, kind: "server", attributes }, () => next.call(this, ctx));
      };
    },
    remoteAction(next, { name = "" }) {
      const attributes = rpcAttributes(name);
      return function (this: Service, ctx: Context) {
        const tracing = tracingOf();
        const caller = tracing && currentScope()?.span;
        if (!caller) return next.call(this, ctx);
        if (!caller.sampled) {
          ctx.headers = { ...ctx.headers, ...caller.carrier() };
          return next.call(this, ctx);
        }
        const span = tracing.start({
          name,
          kind: "client",
          service: caller.service,
          parent: caller,
          attributes,
        });
        if (ctx.nodeID) span.set({ [ATTRIBUTES.peerNode]: ctx.nodeID });
        ctx.headers = { ...ctx.headers, ...span.carrier() };
        return withSpan(span, requestIdOf(ctx), failureOf, () => next.call(this, ctx));
      };
    },
    localEvent(next, { name = "", service }) {
      const attributes = {
        [ATTRIBUTES.messagingSystem]: "moleculer",
        [ATTRIBUTES.messagingOperation]: "process",
        [ATTRIBUTES.messagingDestination]: name,
      };
      return function (this: Service, ctx: Context) {
        const start = { name: `process ${name}`, kind: "consumer", attributes } as const;
        return run(ctx, service?.name ?? "", start, async () => await next.call(this, ctx));
      };
    },
  };
}

/**
 * Has plain events say what trace they belong to; where they are sent they need no span of their own. Once, where the
 * broker is made. (The types of Moleculer's own hooks for this don't let one write them.)
 */
export function installTracedEvents(broker: ServiceBroker): void {
  for (const way of ["emit", "broadcast"] as const) {
    const next = broker[way];
    broker[way] = (event: string, data?: unknown, options: { headers?: object } = {}) => {
      const span = tracingOf() && currentScope()?.span;
      const headers = span ? { headers: { ...options.headers, ...span.carrier() } } : {};
      return Reflect.apply(next, broker, [event, data, { ...options, ...headers }]);
    };
  }
}

/** Runs a handler in the scope of its request, and in a span if it is part of a trace that is recorded. */
function run<T>(
  ctx: Context,
  service: string,
  start: Pick<SpanStart, "name" | "kind" | "attributes">,
  work: () => Promise<T>,
): Promise<T> {
  const scope = currentScope();
  const requestId = requestIdOf(ctx);
  const tracing = tracingOf();
  const parent = tracing && (scope?.span ?? carrierOf(ctx.headers));
  if (!parent) return scope?.requestId === requestId ? work() : inScope({ requestId }, work);
  if (scope?.span && !scope.span.sampled) return work();
  return withSpan(tracing.start({ ...start, service, parent }), requestId, failureOf, work);
}

const requestIdOf = (ctx: Context): string => ctx.requestID ?? ctx.id;

function carrierOf(headers: unknown): Carrier | undefined {
  if (typeof headers !== "object" || headers === null || !("traceparent" in headers)) return undefined;
  const { traceparent } = headers;
  if (typeof traceparent !== "string") return undefined;
  const tracestate = "tracestate" in headers ? headers.tracestate : undefined;
  return { traceparent, ...(typeof tracestate === "string" ? { tracestate } : {}) };
}

function failureOf(error: unknown) {
  return { type: failureCode(error) ?? errorOf(error).type, isError: !isDefinite(error) };
}

const serviceOf = (action: string) => action.slice(0, action.indexOf("."));

function rpcAttributes(action: string) {
  const service = serviceOf(action);
  return {
    [ATTRIBUTES.rpcSystem]: "moleculer",
    [ATTRIBUTES.rpcService]: service,
    [ATTRIBUTES.rpcMethod]: action.slice(service.length + 1),
  };
}
