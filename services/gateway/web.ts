import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { Context, type ServiceSchema } from "moleculer";
import type { Alias, GatewayResponse, IncomingRequest } from "moleculer-web";
import { untilOffered } from "../../lib/calling.ts";
import { RouteNotFound } from "../../lib/errors.ts";
import { beforeStop } from "../../lib/lifecycle.ts";
import type { Meta } from "../../lib/meta.ts";
import { configOf } from "../../lib/runtime.ts";
import type { Mixin } from "../../lib/service.ts";
import type { GatewayAnswer } from "./answer.ts";
import { answerFailure, answerJson, type Log } from "./answers.ts";
import { front } from "./front.ts";
import { HttpServer, TIMEOUTS, type Timeouts, urlOf } from "./http-server.ts";
import { pagesOf } from "./pages.ts";
import { prepare } from "./prepare.ts";
import { limitersOf, RateLimits } from "./rate-limits.ts";
import { type Match, type RestRoute, Router, restRoutes } from "./routes.ts";
import { type VisitingRequest, visitOf } from "./visit.ts";

declare module "moleculer-web" {
  interface Alias {
    /** The route's path and the alias's own, as the request line has it. Missing in the published types. */
    fullPath: string;
  }
}

/** moleculer-web's mixin; its types claim both a default export and `export =`. */
const ApiGateway: Partial<ServiceSchema> = createRequire(import.meta.url)("moleculer-web");

/**
 * moleculer-web, closed: only the contracts' routes exist (no `mappingPolicy`, no internal aliases), bodies are parsed
 * by us after authentication and limits, and every answer leaves in the contract's shape.
 *
 * The order of a request: front (headers, limits, what is no route) → moleculer-web's `aliasHandler` (finds a node for the
 * action) → prepare (who asks, how often, with what) → the action → `sendResponse`.
 */
export function web(timeouts: Timeouts = TIMEOUTS): Mixin<Record<never, never>> {
  return {
    build(broker) {
      const config = configOf(broker);
      const log: Log = (message, data) => broker.logger.error(message, data);
      const router = new Router(restRoutes);
      const limits = new RateLimits(config.RATE_LIMIT, limitersOf(broker));
      const aliases = new Map<RestRoute, Alias>();
      const routes = new Map<Alias, RestRoute>();
      const routeOf = ({ $alias }: IncomingRequest) => routes.get($alias);

      let handle: (req: VisitingRequest, res: GatewayAnswer) => unknown = () => undefined;
      const http = new HttpServer((req, res) => handle(req, res), timeouts);
      const receive = front({ broker, config, router, limits, pages: pagesOf(broker, config), http, log });
      beforeStop(broker, () => http.drain(config.SHUTDOWN_TIMEOUT));
      broker.localBus.once("$broker.started", () => {
        const url = urlOf(http.server);
        broker.getLogger("gateway").info(`Answers at ${url}, and explains its API at ${url}/api/docs`);
      });

      return {
        mixins: [ApiGateway],
        actions: { rest: false, listAliases: false, addRoute: false, removeRoute: false },
        settings: {
          port: config.PORT,
          ip: config.HOST,
          // Requests are counted and timed by the front; a line for each costs a third of the throughput.
          logRequest: null,
          logRequestParams: null,
          logResponse: null,
          logRouteRegistration: "debug",
          internalServiceSpecialChar: "",
          $secureSettings: ["routes"],
          routes: [
            {
              path: "/",
              mappingPolicy: "restrict",
              mergeParams: false,
              bodyParsers: false,
              logging: false,
              aliases: Object.fromEntries(
                restRoutes.map((route) => [
                  `${route.method} ${route.path}`,
                  route.spec.stream ? { type: "stream", action: route.action } : route.action,
                ]),
              ),
              onBeforeCall(_ctx: unknown, _route: unknown, req: IncomingRequest, res: GatewayResponse) {
                const route = routeOf(req);
                if (!route) throw new RouteNotFound({});
                return prepare(req, res, route, { config, limits, http });
              },
            },
          ],
        },
        methods: {
          /** Runs before `created` of ours: from here on moleculer-web's service is there to hand requests to. */
          createServer() {
            this.server = http.server;
            handle = (req, res) => this.httpHandler(req, res);
            // moleculer-web would only write a line for most of what keeps it from listening, and wait for ever.
            http.server.on("error", (error) => {
              if (http.server.listening) return;
              const where = `HOST ${config.HOST}, PORT ${config.PORT}`;
              broker.fatal(
                `The gateway can't listen at ${where}: ${error.message}. Set another, or end what listens there.`,
              );
            });
          },
          /**
           * In place of moleculer-web's own, which sends each request through an action (`rest`), a scan of aliases and
           * a chain of Express middlewares: the front has found the route already, and there are no middlewares.
           */
          httpHandler(req: VisitingRequest & IncomingRequest, res: GatewayAnswer & GatewayResponse) {
            return receive(req, res, (match) => this.answerRoute(req, res, match));
          },
          async answerRoute(req: IncomingRequest, res: GatewayResponse, { route, params }: Match) {
            const alias: Alias = this.aliasOf(route);
            const ctx = new Context<{ req: IncomingMessage; res: ServerResponse }>(broker);
            // Whose call the action's is.
            ctx.service = this;
            ctx.requestID = visitOf(req).requestId;
            req.$ctx = ctx;
            req.$route = alias.route;
            req.$alias = alias;
            req.$params = { params };
            try {
              if (broker.transit) await untilOffered(broker, route.action);
              await this.aliasHandler(req, res, alias);
            } catch (error) {
              const meta: Meta = ctx.meta;
              answerFailure(req, res, error, log, meta.$responseHeaders);
            }
          },
          /** @throws RouteNotFound */
          aliasOf(route: RestRoute): Alias {
            const known = aliases.get(route);
            if (known) return known;
            const alias = this.aliases.find(
              (one: Alias) => one.method === route.method && one.fullPath === route.path,
            );
            if (!alias) throw new RouteNotFound({});
            aliases.set(route, alias);
            routes.set(alias, route);
            return alias;
          },
          sendResponse(req: IncomingRequest, res: GatewayResponse, data: unknown) {
            const meta: Meta = req.$ctx.meta;
            const spec = routeOf(req)?.spec;
            answerJson(res, meta.$statusCode ?? spec?.status ?? 200, data, {
              ...(meta.$responseHeaders ? { headers: meta.$responseHeaders } : {}),
              isShared: spec?.cache !== undefined,
            });
          },
        },
      };
    },
  };
}
