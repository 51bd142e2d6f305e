import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServiceBroker } from "moleculer";
import { callsOf, noteCall } from "../../lib/call-figures.ts";
import type { Config } from "../../lib/config.ts";
import {
  AddressTooLong,
  MalformedRequest,
  MethodNotAllowed,
  RequestTooSlow,
  RouteNotFound,
} from "../../lib/errors.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { currentScope, inScope } from "../../lib/tracing/scope.ts";
import type { GatewayAnswer } from "./answer.ts";
import { answerFailure, type Log } from "./answers.ts";
import { clientIp, limitKey } from "./client-ip.ts";
import { answerOptions, commonHeaders } from "./headers.ts";
import type { HttpServer } from "./http-server.ts";
import type { RateLimits } from "./rate-limits.ts";
import { closeSpan, methodOf, openSpan, statusOf } from "./request-span.ts";
import type { Match, Router } from "./routes.ts";
import type { Visit, VisitingRequest } from "./visit.ts";

const REQUEST_ID = /^[A-Za-z0-9_.:-]{1,100}$/;
/** Bytes of path and query. */
const MAX_ADDRESS = 8192;

/** Answers GET on one fixed address beside the contracts' routes. */
export type Page = (req: IncomingMessage, res: ServerResponse) => void | Promise<void>;

interface FrontOptions {
  broker: ServiceBroker;
  config: Config;
  router: Router;
  limits: RateLimits;
  pages: ReadonlyMap<string, Page>;
  http: HttpServer;
  log: Log;
}

/** Answers a request for a contract's route. */
type Next = (match: Match) => Promise<void>;

/**
 * What happens to every request before moleculer-web sees it: the headers that every answer carries, and an answer to
 * all that is no route of a contract. What remains goes to `next`.
 */
export function front({ broker, config, router, limits, pages, http, log }: FrontOptions) {
  const setHeaders = commonHeaders(config);
  const metrics = metricsOf(broker);

  return (req: VisitingRequest, res: GatewayAnswer, next: Next): Promise<void> => {
    const visit = open(req);
    const { requestId } = visit;
    const span = openSpan(req, requestId);
    return inScope(span ? { requestId, span } : { requestId }, () => answer(req, res, next, visit));
  };

  async function answer(req: VisitingRequest, res: GatewayAnswer, next: Next, visit: Visit): Promise<void> {
    const fail = (error: unknown) => answerFailure(req, res, error, log);
    setHeaders(req, res, visit.requestId);
    const span = currentScope()?.span;
    http.track(
      req,
      res,
      () => (res.writableEnded ? req.socket.destroy() : fail(new RequestTooSlow({}))),
      () => {
        measure(req, res, visit);
        if (span) closeSpan(span, req, res, visit);
      },
    );
    try {
      if (req.headers.host === undefined && req.httpVersion === "1.1")
        throw new MalformedRequest({ reason: "The Host header is missing." });
      const path = pathOf(req);
      const match = router.find(effectiveMethod(req), path);
      if (match) {
        visit.route = match.route.path;
        await next(match);
        return;
      }
      await limits.consume("read", visit.limitKey);
      const page = pages.get(path);
      const methods = methodsOf(router, path, page);
      if (methods.length > 0) visit.route = page ? path : "other method";
      if (page && (req.method === "GET" || req.method === "HEAD")) await page(req, res);
      else if (methods.length === 0) throw new RouteNotFound({});
      else if (req.method === "OPTIONS") answerOptions(req, res, methods);
      else throw new MethodNotAllowed({ allow: methods });
    } catch (error) {
      fail(error);
    }
  }

  function open(req: VisitingRequest): Visit {
    const given = req.headers["x-request-id"];
    const ip = clientIp(req, config.TRUST_PROXY);
    req.visit = {
      requestId: typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID(),
      ip,
      limitKey: `ip:${limitKey(ip)}`,
      route: "unrouted",
      startedAt: performance.now(),
    };
    return req.visit;
  }

  function measure(req: IncomingMessage, res: ServerResponse, visit: Visit): void {
    const ms = performance.now() - visit.startedAt;
    const labels = { method: methodOf(req), route: visit.route, status: statusOf(res) };
    metrics.observe("molecart_http_request_duration_seconds", ms, labels);
    noteCall(callsOf(broker, "gateway"), ms, labels.status >= 500);
  }
}

/** HEAD is GET without its body. */
export function effectiveMethod(req: Pick<IncomingMessage, "method">): string {
  return req.method === "HEAD" ? "GET" : (req.method ?? "");
}

/** The path without query and trailing slash, as moleculer-web reads it too. */
function pathOf(req: IncomingMessage): string {
  const url = req.url ?? "/";
  if (url.length > MAX_ADDRESS) throw new AddressTooLong({ limit_bytes: MAX_ADDRESS });
  const query = url.indexOf("?", 1);
  const path = query === -1 ? url : url.slice(0, query);
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** What the address takes, for `Allow` and CORS; empty if there is nothing. */
function methodsOf(router: Router, path: string, page: Page | undefined): string[] {
  const methods: string[] = page ? ["GET"] : router.methodsOf(path);
  if (methods.includes("GET")) methods.push("HEAD");
  return methods.length === 0 ? [] : [...methods, "OPTIONS"];
}
