import type { GatewayResponse, IncomingRequest } from "moleculer-web";
import { call } from "../../lib/call.ts";
import type { Config } from "../../lib/config.ts";
import { InvalidToken, MalformedRequest, Unauthenticated, UnsupportedMediaType } from "../../lib/errors.ts";
import type { Meta } from "../../lib/meta.ts";
import type { Principal } from "../auth/auth.contract.ts";
import { convertText, mediaType, readJson, readQuery, readText } from "./request.ts";
import type { RestRoute } from "./routes.ts";

const CART_TOKEN = /^[A-Za-z0-9_-]{16,100}$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** Authenticates a request, reads what it asks, and hands both to the action as meta and params. */
export async function prepareRequest(
  req: IncomingRequest,
  _res: GatewayResponse,
  route: RestRoute,
  config: Config,
): Promise<void> {
  const { spec } = route;
  const meta: Meta = {
    user: await authenticate(req),
    clientIp: req.socket.remoteAddress ?? "",
    ...cartToken(req),
    ...(spec.idempotencyKey ? idempotencyKey(req) : {}),
  };
  // Before the body is read: who isn't logged in has no megabyte parsed.
  if (!meta.user && !spec.permissions.includes("public")) throw new Unauthenticated({});
  Object.assign(req.$ctx.meta, meta);
  req.$params = await readParams(req, route, config);
}

/** @throws InvalidToken if a token is given and is not good: a client should learn that it expired */
async function authenticate(req: IncomingRequest): Promise<Principal | null> {
  const { authorization } = req.headers;
  if (authorization === undefined) return null;
  const token = /^Bearer ([A-Za-z0-9._~+/=-]{1,4096})$/i.exec(authorization)?.[1];
  if (token === undefined) throw new InvalidToken({});
  const user = await call(req.$ctx, "auth.resolve", { token });
  if (!user) throw new InvalidToken({});
  return user;
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
  config: Config,
): Promise<Record<string, unknown>> {
  const { spec } = route;
  const path = convertText(spec, req.$params.params ?? {});
  const query = readQuery(req.originalUrl);
  if (spec.stream) {
    const type = mediaType(req);
    if (!spec.stream.includes(type)) throw new UnsupportedMediaType({ expected: spec.stream.join(" or ") });
    return { ...path, media_type: type };
  }
  if (spec.rawBody) {
    const headers = Object.fromEntries(
      Object.entries(req.headers).flatMap(([name, value]) =>
        typeof value === "string" ? [[name, value]] : [],
      ),
    );
    delete headers.authorization;
    return { ...path, raw_body: await readText(req, config.BODY_LIMIT), headers };
  }
  if (req.method === "GET") return { ...convertText(spec, query), ...path };
  const body = await readJson(req, config.BODY_LIMIT);
  const clash = route.pathParams.find((name) => Object.hasOwn(body, name));
  if (clash !== undefined)
    throw new MalformedRequest({ reason: `${clash} stands in the address, not in the body.` });
  return { ...body, ...path };
}
