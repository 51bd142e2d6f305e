import { setTimeout as delay } from "node:timers/promises";
import type { Context, ServiceBroker } from "moleculer";
import { specOf } from "../middlewares/contract.ts";
import type { ActionSpec } from "./contract.ts";
import { failureCode, failureData } from "./errors.ts";
import { isStopping } from "./lifecycle.ts";
import { currentScope } from "./tracing/scope.ts";

/** Moleculer's options of a call, as far as they matter here. */
interface Options {
  /** ms; 0: none. A call within another one is given what is left of that one's time, unless it asks for less. */
  timeout?: number | null;
  parentCtx?: Pick<Context, "options" | "startHrTime">;
  requestID?: string;
  stream?: unknown;
  ctx?: unknown;
}

/** A node that was already chosen, as the gateway does: a further try may go to another. */
interface Endpoint {
  action: { name: string };
}

/** ms before each further try. Together longer than a node needs to reconnect, or to be missed. */
const PAUSES = [50, 100, 200, 400];
/** A call that wasn't answered in its time is repeated once: its caller waits too. */
const REPEATS_AFTER_TIMEOUT = 1;

/**
 * How calls between services are bounded and repeated, in place of Moleculer's `retryPolicy` (which runs a handler again
 * that had only timed out, and at every level of nested calls):
 *
 * - A call takes its contract's `timeout` (else `REQUEST_TIMEOUT`), and never more than is left of its caller's.
 * - A request that reached nobody is sent again, to another node if there is one.
 * - A request whose node was lost, or that was not answered in time, is sent again only if it reads or its contract says
 *   `idempotent`.
 */
export function installCalls(broker: ServiceBroker, requestTimeout: number): void {
  const next = broker.call;
  broker.call = (target: string | Endpoint, params?: unknown, options: Options = {}) => {
    const name = typeof target === "string" ? target : target.action.name;
    const spec = specOf(name);
    if (!spec || options.ctx) return Reflect.apply(next, broker, [target, params, options]);
    const time = timeOf(options, spec.timeout ?? requestTimeout);
    // A job's calls, which descend from no request's context.
    const requestID = options.parentCtx ? undefined : (options.requestID ?? currentScope()?.requestId);
    const own = requestID === undefined ? options : { ...options, requestID };
    const send = (to: string | Endpoint) =>
      Reflect.apply(next, broker, [to, params, { ...own, timeout: time() }]);
    const first = send(target);
    if (!broker.transit || options.stream) return first;
    const whole = repeat(broker, name, spec, first, async () => {
      const again = send(name);
      try {
        return await again;
      } finally {
        // What the action noted for the caller stands in the context of the try that came through.
        if (first.ctx && again.ctx) Object.assign(first.ctx.meta, again.ctx.meta);
      }
    });
    return Object.assign(whole, { ctx: first.ctx });
  };
}

/**
 * Waits a moment for a node that offers an action which had one before: while connections come back, none may be known.
 */
export async function untilOffered(broker: ServiceBroker, action: string): Promise<void> {
  if (!broker.transit) return;
  for (const pause of PAUSES) {
    const endpoints = broker.registry.getActionEndpoints(action);
    if (!endpoints || endpoints.hasAvailable()) return;
    await delay(pause);
  }
}

/**
 * For what starts with its node: the others may not be there yet, which is nothing that the log should warn of.
 * @throws Error if no node that is known offers the action
 */
export function requireOffered(broker: ServiceBroker, action: string): void {
  if (!broker.registry.getActionEndpoints(action)?.hasAvailable()) throw new Error(`Nobody offers ${action}`);
}

/** ms that the next try may take. */
function timeOf({ timeout, parentCtx }: Options, own: number): () => number {
  const budget = parentCtx?.options.timeout;
  const start = parentCtx?.startHrTime;
  const left = () => {
    if (!budget || !start) return Number.POSITIVE_INFINITY;
    const [seconds, nanoseconds] = process.hrtime(start);
    return budget - seconds * 1e3 - nanoseconds / 1e6;
  };
  // Moleculer passes what is left on as `timeout`: only what is less was asked for.
  const asked = timeout && timeout < left() ? timeout : own;
  return () => Math.max(1, Math.min(asked, left()));
}

async function repeat(
  broker: ServiceBroker,
  name: string,
  spec: ActionSpec,
  first: Promise<unknown>,
  again: () => Promise<unknown>,
): Promise<unknown> {
  let attempt = first;
  let timeouts = 0;
  for (const pause of PAUSES) {
    try {
      return await attempt;
    } catch (error) {
      if (failureCode(error) === "REQUEST_TIMEOUT" && ++timeouts > REPEATS_AFTER_TIMEOUT) throw error;
      if (isStopping(broker) || !mayRepeat(error, name, spec, broker.nodeID)) throw error;
    }
    await delay(pause);
    attempt = again();
  }
  return await attempt;
}

/** Whether a call that failed so may be sent again. */
export function mayRepeat(error: unknown, name: string, spec: ActionSpec, ownNode: string): boolean {
  const code = failureCode(error) ?? "";
  const { action, nodeID } = failureData(error);
  // The failure of a call that the action made itself is the action's answer.
  if (action !== name) return false;
  // Nobody ran it: there is no node for it right now, or the one that was chosen is gone or stopping.
  if (code === "SERVICE_NOT_AVAILABLE") return true;
  if (code === "SERVICE_NOT_FOUND") return typeof nodeID === "string" && nodeID !== ownNode;
  const isUnanswered = code === "REQUEST_REJECTED" || code === "REQUEST_TIMEOUT";
  return isUnanswered && nodeID !== ownNode && isRepeatable(spec);
}

/** Running it twice has the effect of running it once. */
function isRepeatable(spec: ActionSpec): boolean {
  return spec.idempotent === true || (spec.rest?.some((route) => route.startsWith("GET ")) ?? false);
}
