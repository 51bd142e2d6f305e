import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { ServiceSchema } from "moleculer";
import type { Alias, GatewayResponse, IncomingRequest } from "moleculer-web";
import type { Config } from "../../lib/config.ts";
import { MalformedRequest, RouteNotFound } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { configOf } from "../../lib/runtime.ts";
import type { Mixin } from "../../lib/service.ts";
import { failureResponse } from "./failure-response.ts";
import { type RestRoute, Router, restRoutes } from "./routes.ts";

declare module "moleculer-web" {
  interface Alias {
    /** The route's path and the alias's own, as the request line has it. Missing in the published types. */
    fullPath: string;
  }
}

/** moleculer-web's mixin; its types claim both a default export and `export =`. */
const ApiGateway: Partial<ServiceSchema> = createRequire(import.meta.url)("moleculer-web");

const REQUEST_ID = /^[A-Za-z0-9_.:-]{1,100}$/;
/** ms: longer than the slowest action that is not a stream, shorter than what ties a socket up for nothing. */
const HTTP_REQUEST_TIMEOUT = 15_000;

/** What the gateway does with a request once its route is known: who asks, how often, with what. */
export type Prepare = (
  req: IncomingRequest,
  res: GatewayResponse,
  route: RestRoute,
  config: Config,
) => Promise<void>;

/** Answers that every response carries, errors and 404s too: set before anything can fail. */
export type BeforeAll = (req: IncomingMessage, res: ServerResponse, config: Config) => boolean;

interface WebOptions {
  /** Sets headers; answers itself and returns true for what is no REST route (preflights, documents, assets). */
  beforeAll: BeforeAll;
  prepare: Prepare;
}

/**
 * moleculer-web, closed: only the contracts' routes exist (no `mappingPolicy`, no internal aliases), bodies are parsed
 * by us after authentication and limits, and every failure leaves in the contract's shape.
 */
export function web({ beforeAll, prepare }: WebOptions): Mixin<Record<never, never>> {
  return {
    build(broker) {
      const config = configOf(broker);
      const router = new Router(restRoutes);
      const byAlias = new Map(restRoutes.map((route) => [`${route.method} ${route.path}`, route]));
      const aliases = new Map<string, Alias>();
      const original = ApiGateway.methods?.httpHandler;
      if (typeof original !== "function")
        throw new Error("moleculer-web has no httpHandler: look at its new version.");
      return {
        mixins: [ApiGateway],
        actions: { listAliases: false, addRoute: false, removeRoute: false },
        settings: {
          port: config.PORT,
          ip: config.HOST,
          requestTimeout: HTTP_REQUEST_TIMEOUT,
          logRequest: "debug",
          logResponse: "debug",
          logRouteRegistration: "debug",
          internalServiceSpecialChar: "",
          $secureSettings: ["routes", "onError"],
          onError(req: IncomingRequest, res: GatewayResponse, error: unknown) {
            answerFailure(req, res, error, (message, data) => broker.logger.error(message, data));
          },
          routes: [
            {
              path: "/",
              mappingPolicy: "restrict",
              mergeParams: false,
              bodyParsers: false,
              aliases: Object.fromEntries(
                restRoutes.map((route) => [
                  `${route.method} ${route.path}`,
                  route.spec.stream ? { type: "stream", action: route.action } : route.action,
                ]),
              ),
              async onBeforeCall(_ctx: unknown, _route: unknown, req: IncomingRequest, res: GatewayResponse) {
                const route = byAlias.get(`${req.$alias.method} ${req.$alias.fullPath}`);
                if (!route) throw new RouteNotFound({});
                await prepare(req, res, route, config);
              },
              onAfterCall(
                ctx: { meta: { $statusCode?: number } },
                _route: unknown,
                req: IncomingRequest,
                _res: unknown,
                data: unknown,
              ) {
                const route = byAlias.get(`${req.$alias.method} ${req.$alias.fullPath}`);
                ctx.meta.$statusCode ??= route?.spec.status ?? 200;
                return data;
              },
            },
          ],
        },
        methods: {
          httpHandler(req: IncomingMessage, res: ServerResponse) {
            const given = req.headers["x-request-id"];
            const requestId = typeof given === "string" && REQUEST_ID.test(given) ? given : newId();
            req.headers["x-request-id"] = requestId;
            delete req.headers["x-correlation-id"];
            res.setHeader("X-Request-Id", requestId);
            if (beforeAll(req, res, config)) return undefined;
            return Reflect.apply(original, this, [req, res]);
          },
          resolveAlias(url: string, method = "GET") {
            let match: ReturnType<Router["find"]>;
            try {
              match = router.find(method, url);
            } catch {
              throw new MalformedRequest({ reason: "The address is not valid percent-encoding." });
            }
            if (!match) return false;
            const key = `${method} ${match.route.path}`;
            let alias = aliases.get(key);
            if (!alias) {
              alias = this.aliases.find((one: Alias) => `${one.method} ${one.fullPath}` === key);
              if (!alias) return false;
              aliases.set(key, alias);
            }
            return { alias, params: match.params };
          },
        },
      };
    },
  };
}

/** Sends an error in the contract's shape, if nothing was sent yet. */
export function answerFailure(
  req: IncomingMessage,
  res: ServerResponse,
  error: unknown,
  log: (message: string, data: object) => void,
): void {
  const requestId = String(req.headers["x-request-id"] ?? newId());
  const { code } =
    typeof error === "object" && error !== null && "code" in error ? error : { code: undefined };
  // moleculer-web's own 404 for what no route matched.
  const shown = failureResponse(
    code === 404 && !(error instanceof RouteNotFound) && isWebNotFound(error) ? new RouteNotFound({}) : error,
    requestId,
  );
  if (shown.log) {
    log("Request failed", {
      requestID: requestId,
      method: req.method,
      status: shown.status,
      error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      stack: shown.status === 500 && error instanceof Error ? error.stack : undefined,
    });
  }
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const body = Buffer.from(JSON.stringify(shown.body));
  res.writeHead(shown.status, {
    ...shown.headers,
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": body.length,
  });
  res.end(body);
}

function isWebNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === "NotFoundError";
}
