import type { GatewayResponse, IncomingRequest } from "moleculer-web";
import { call } from "../../lib/call.ts";
import type { Config } from "../../lib/config.ts";
import {
  Forbidden,
  InvalidToken,
  MalformedRequest,
  Unauthenticated,
  UnsupportedMediaType,
  ValidationFailed,
} from "../../lib/errors.ts";
import { CART_TOKEN, IDEMPOTENCY_KEY, type Meta } from "../../lib/meta.ts";
import { mayPersonCall } from "../../middlewares/permissions.ts";
import type { Principal } from "../auth/auth.contract.ts";
import { effectiveMethod } from "./front.ts";
import type { HttpServer } from "./http-server.ts";
import { isAnonymous, type RateLimits, rateClassOf } from "./rate-limits.ts";
import {
  assertClean,
  assertNotCompressed,
  convertText,
  mediaType,
  readJson,
  readQuery,
  readText,
} from "./request.ts";
import type { RestRoute } from "./routes.ts";
import { visitOf } from "./visit.ts";

const LOGIN = "auth.login";

interface Gateway {
  config: Config;
  limits: RateLimits;
  http: HttpServer;
}

/**
 * Finds out who asks, counts the request, reads what it asks, and hands it to the action as meta and params. In this
 * order, so that who asks too often or isn't allowed has no megabyte read and parsed.
 */
export async function prepare(
  req: IncomingRequest,
  res: GatewayResponse,
  route: RestRoute,
  gateway: Gateway,
): Promise<void> {
  const { spec } = route;
  const visit = visitOf(req);
  const meta: Meta = {
    user: await identify(req, route, gateway.limits),
    clientIp: visit.ip,
    ...cartToken(req),
    ...(spec.idempotencyKey ? idempotencyKey(req) : {}),
  };
  // The action's own node checks again; here it is for what a refused request would cost.
  if (!mayPersonCall(spec.permissions, meta.user)) {
    throw meta.user ? new Forbidden({}) : new Unauthenticated({});
  }
  Object.assign(req.$ctx.meta, meta);
  req.$params = await readParams(req, route, gateway);
  if (route.action === LOGIN && typeof req.$params.email === "string") {
    await gateway.limits.logins.admit(req.$params.email, visit.limitKey, res);
  }
}

/**
 * The request's user, counted; null for a guest, counted by address.
 * @throws InvalidToken if a token is given and is not good: a client should learn that it expired
 */
async function identify(
  req: IncomingRequest,
  route: RestRoute,
  limits: RateLimits,
): Promise<Principal | null> {
  const { authorization } = req.headers;
  const user =
    authorization === undefined || isAnonymous(route) ? null : await authenticate(req, authorization);
  await limits.consume(rateClassOf(route), user ? `user:${user.id}` : visitOf(req).limitKey);
  if (user === undefined) throw new InvalidToken({});
  return user;
}

/** @returns the token's user, undefined for a bad one */
async function authenticate(req: IncomingRequest, authorization: string): Promise<Principal | undefined> {
  const token = /^Bearer ([A-Za-z0-9._~+/=-]{1,4096})$/i.exec(authorization)?.[1];
  if (token === undefined) return undefined;
  return (await call(req.$ctx, "auth.resolve", { token })) ?? undefined;
}

function cartToken(req: IncomingRequest): Pick<Meta, "cartToken"> {
  const token = req.headers["x-cart-token"];
  if (token === undefined) return {};
  if (typeof token !== "string" || !CART_TOKEN.test(token))
    throw new MalformedRequest({ reason: "X-Cart-Token is not one the shop gave." });
  return { cartToken: token };
}

function idempotencyKey(req: IncomingRequest): Pick<Meta, "idempotencyKey"> {
  const key = req.headers["idempotency-key"];
  if (key === undefined) return {};
  if (typeof key !== "string" || !IDEMPOTENCY_KEY.test(key)) {
    throw new MalformedRequest({ reason: "Idempotency-Key must be 1 to 255 visible ASCII characters." });
  }
  return { idempotencyKey: key };
}

async function readParams(
  req: IncomingRequest,
  route: RestRoute,
  { config, http }: Gateway,
): Promise<Record<string, unknown>> {
  const { spec } = route;
  assertClean(req.$params.params ?? {}, 0);
  const path = convertText(spec, req.$params.params ?? {});
  const query = readQuery(req.url ?? "");
  if (effectiveMethod(req) === "GET") return { ...convertText(spec, query), ...path };
  if (spec.rawBody) {
    // Whatever the provider was told to call: its signature covers the body alone.
    return {
      ...path,
      raw_body: await readText(req, config.BODY_LIMIT),
      headers: headersForSignature(req),
    };
  }
  const violations = Object.keys(query).map((key) => ({
    path: `/${key.slice(0, 100)}`,
    message: "is not known in the query",
  }));
  if (violations.length > 0) throw new ValidationFailed({ violations: violations.slice(0, 20) });
  if (spec.stream) {
    const type = mediaType(req);
    if (!spec.stream.includes(type)) throw new UnsupportedMediaType({ expected: spec.stream.join(" or ") });
    assertNotCompressed(req);
    http.allowStream(req);
    return { ...path, media_type: type };
  }
  const body = await readJson(req, config.BODY_LIMIT);
  const clash = route.pathParams.find((name) => Object.hasOwn(body, name));
  if (clash !== undefined)
    throw new MalformedRequest({ reason: `${clash} stands in the address, not in the body.` });
  return { ...body, ...path };
}

function headersForSignature(req: IncomingRequest): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(req.headers)) {
    if (typeof value === "string" && name !== "authorization") headers[name] = value;
  }
  return headers;
}
