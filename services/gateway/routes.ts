import type { ActionSpec, Method } from "../../lib/contract.ts";
import { MalformedRequest } from "../../lib/errors.ts";
import { contracts } from "../contracts.ts";

export interface RestRoute {
  method: Method;
  /** `/api/products/:id` */
  path: string;
  /** `products.get` */
  action: string;
  spec: ActionSpec;
  /** Names of the path's parameters. */
  pathParams: string[];
}

/** Routes stand below `/api`; one that starts with `//` stands at the root. */
function fullPath(path: string): string {
  return path.startsWith("//") ? path.slice(1) : `/api${path}`;
}

/** Every REST route of every contract: what the gateway serves and OpenAPI describes. */
export const restRoutes: readonly RestRoute[] = contracts.flatMap(({ name, actions }) =>
  Object.entries(actions).flatMap(([key, spec]) =>
    (spec.rest ?? []).map((route): RestRoute => {
      const [method = "", path = ""] = route.split(" ");
      const full = fullPath(path);
      return {
        method: method as Method,
        path: full,
        action: `${name}.${key}`,
        spec,
        pathParams: [...full.matchAll(/:(\w+)/g)].map((match) => match[1] ?? ""),
      };
    }),
  ),
);

export interface Match {
  route: RestRoute;
  params: Record<string, string>;
}

/**
 * Finds routes without a scan: static paths by one map look-up, those with parameters among the few of the same
 * method and number of segments.
 */
export class Router {
  readonly #static = new Map<string, RestRoute>();
  /** `POST /users/login` is no user's address for `PUT`. */
  readonly #staticPaths = new Set<string>();
  readonly #dynamic = new Map<string, { route: RestRoute; segments: string[] }[]>();

  constructor(routes: readonly RestRoute[]) {
    for (const route of routes) {
      const segments = route.path.split("/");
      if (route.pathParams.length === 0) {
        this.#static.set(`${route.method} ${route.path}`, route);
        this.#staticPaths.add(route.path);
      } else {
        const key = `${route.method} ${segments.length}`;
        this.#dynamic.set(key, [...(this.#dynamic.get(key) ?? []), { route, segments }]);
      }
    }
  }

  /** @param path without query and trailing slash; @throws MalformedRequest if a parameter is not valid percent-encoding */
  find(method: string, path: string): Match | undefined {
    const route = this.#static.get(`${method} ${path}`);
    if (route) return { route, params: {} };
    if (this.#staticPaths.has(path)) return undefined;
    const given = path.split("/");
    for (const candidate of this.#dynamic.get(`${method} ${given.length}`) ?? []) {
      const params = matchSegments(candidate.segments, given);
      if (params) return { route: candidate.route, params };
    }
    return undefined;
  }

  /** Which methods this path takes, for 405 and CORS. */
  methodsOf(path: string): Method[] {
    const all: Method[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    return all.filter((method) => this.find(method, path) !== undefined);
  }
}

function matchSegments(
  pattern: readonly string[],
  given: readonly string[],
): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [index, segment] of pattern.entries()) {
    const value = given[index] ?? "";
    if (!segment.startsWith(":")) {
      if (segment !== value) return undefined;
    } else {
      if (value === "") return undefined;
      params[segment.slice(1)] = decode(value);
    }
  }
  return params;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new MalformedRequest({ reason: "The address is not valid percent-encoding." });
  }
}
