import { effectiveMethod } from "../../services/gateway/front.ts";
import { buildOpenApi } from "../../services/gateway/openapi.ts";
import { isObject, type Json } from "../../services/gateway/openapi-schemas.ts";
import { type RestRoute, Router, restRoutes } from "../../services/gateway/routes.ts";

const router = new Router(restRoutes);
const document = buildOpenApi();

/** Of requests that are refused before their route is looked at. */
const BEFORE_ROUTES = new Set([408, 414, 431]);

/**
 * Holds an answer to the OpenAPI document, of which clients are generated.
 * @param code of a failure
 * @throws if it doesn't give the route this status, or this code
 */
export function assertDeclared(method: string, address: string, status: number, code: unknown): void {
  const route = routeOf(method, address);
  if (!route || BEFORE_ROUTES.has(status)) return;
  const path = route.path.replace(/:(\w+)/g, "{$1}");
  const response = at(document, "paths", path, route.method.toLowerCase(), "responses", String(status));
  const codes = codesOf(response);
  if (response !== undefined && (method === "HEAD" || !codes || codes.includes(String(code)))) return;
  throw new Error(`${method} ${path} answered ${status} ${code ?? ""}, of which OpenAPI says nothing`);
}

/** @returns undefined also for an address that is refused */
function routeOf(method: string, address: string): RestRoute | undefined {
  const path = (address.split("?")[0] ?? "").replace(/(.)\/$/, "$1");
  try {
    return router.find(effectiveMethod({ method }), path)?.route;
  } catch {
    return undefined;
  }
}

/** What a failure's response may have as its `code`; undefined of a success. */
function codesOf(response: Json | undefined): Json[] | undefined {
  const ref = at(response, "$ref");
  const whole = typeof ref === "string" ? at(document, ...ref.split("/").slice(1)) : response;
  const codes = at(whole, "content", "application/json", "schema", "properties", "code", "enum");
  return Array.isArray(codes) ? codes : undefined;
}

function at(value: Json | undefined, ...path: string[]): Json | undefined {
  let current = value;
  for (const key of path) current = isObject(current) ? current[key] : undefined;
  return current;
}
