import { createHash } from "node:crypto";
import Type, { type TProperties } from "typebox";
import type { ActionSpec } from "../../lib/contract.ts";
import packageJson from "../../package.json" with { type: "json" };
import { ErrorResponses } from "./openapi-errors.ts";
import { exampleOf } from "./openapi-examples.ts";
import { Components, type Json, type JsonObject } from "./openapi-schemas.ts";
import { isAnonymous } from "./rate-limits.ts";
import { type RestRoute, restRoutes } from "./routes.ts";

const TAGS: Readonly<Record<string, string>> = {
  auth: "Accounts and sessions",
  users: "Profiles and addresses",
  products: "The catalogue",
  cart: "Carts of guests and users",
  orders: "Checkout and orders",
  payments: "Payments, refunds, webhooks",
  notifications: "Messages to users",
  analytics: "Behaviour and figures",
  inventory: "Stock",
  gateway: "Health and checks",
};

/** Routes that say no by 503 in their own shape. */
const PROBES = new Set(["gateway.health", "gateway.ready"]);

const BEARER = { bearer: [] };
const CART_TOKEN = { $ref: "#/components/parameters/CartToken" };
const IDEMPOTENCY_KEY = { $ref: "#/components/parameters/IdempotencyKey" };
const header = (name: string) => ({ $ref: `#/components/headers/${name}` });

/** The API as OpenAPI 3.1, made from the contracts. */
export function buildOpenApi(): JsonObject {
  const components = new Components();
  const errors = new ErrorResponses();
  const paths: { [path: string]: JsonObject } = {};
  const taken = new Set<string>();
  for (const route of restRoutes) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = {
      ...paths[path],
      [route.method.toLowerCase()]: operation(route, { components, errors, taken }),
    };
  }
  const used = new Set(restRoutes.map(({ action }) => serviceOf(action)));
  return {
    openapi: "3.1.0",
    info: {
      title: "Molecart API",
      version: packageJson.version,
      description: packageJson.description,
      license: { name: packageJson.license, identifier: packageJson.license },
    },
    servers: [{ url: "/" }],
    tags: Object.entries(TAGS)
      .filter(([name]) => used.has(name))
      .map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: components.schemas,
      responses: errors.shared,
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "The access_token of POST /api/auth/login.",
        },
      },
      parameters: {
        IdempotencyKey: {
          name: "Idempotency-Key",
          in: "header",
          description:
            "The first answer under a user's key is kept for 24 hours and given again, so that a request may be repeated without being done twice.",
          schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
        },
        CartToken: {
          name: "X-Cart-Token",
          in: "header",
          description: "Names a guest's cart: from the first answer's header of the same name.",
          schema: { type: "string", pattern: "^[A-Za-z0-9_-]{16,100}$" },
        },
      },
      headers: {
        "X-Request-Id": {
          description: "Names the request in logs; a client's own is kept.",
          required: true,
          schema: { type: "string" },
        },
        "X-Cart-Token": {
          description: "A guest's cart: send it with the next request.",
          schema: { type: "string" },
        },
        "Retry-After": { description: "Seconds to wait.", schema: { type: "integer", minimum: 1 } },
        "Idempotent-Replayed": {
          description: "This answer is the kept one of an earlier request.",
          schema: { type: "string", const: "true" },
        },
      },
    },
  };
}

const serviceOf = (action: string) => action.split(".")[0] ?? "";

interface Builder {
  components: Components;
  errors: ErrorResponses;
  /** Operation ids given so far. */
  taken: Set<string>;
}

function operation(route: RestRoute, { components, errors, taken }: Builder): JsonObject {
  const { action, spec } = route;
  const service = serviceOf(action);
  const takesCart = service === "cart" || action === "auth.login" || action === "auth.register";
  const parameters = [
    ...parametersOf(route, components),
    ...(spec.idempotencyKey ? [IDEMPOTENCY_KEY] : []),
    ...(takesCart ? [CART_TOKEN] : []),
  ];
  const body = bodyOf(route, components);
  return {
    operationId: operationId(action, taken),
    summary: spec.summary,
    tags: [service],
    security: securityOf(route),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: body } : {}),
    responses: { ...success(route, components), ...errors.of(route) },
  };
}

/** `orders.setStatus` → `ordersSetStatus`; of its second route `ordersSetStatus2`. */
function operationId(action: string, taken: Set<string>): string {
  const base = action.replace(/\.(\w)/, (_dot, letter: string) => letter.toUpperCase());
  let id = base;
  for (let n = 2; taken.has(id); n++) id = `${base}${n}`;
  taken.add(id);
  return id;
}

function securityOf(route: RestRoute): Json {
  if (!route.spec.permissions.includes("public")) return [BEARER];
  return isAnonymous(route) ? [] : [{}, BEARER];
}

/** Path and, of a GET, query: as prepare.ts reads them. */
function parametersOf({ method, spec, pathParams }: RestRoute, components: Components): JsonObject[] {
  const required = new Set<string>(spec.params.required);
  return Object.entries(spec.params.properties)
    .filter(([name]) => pathParams.includes(name) || method === "GET")
    .map(([name, schema]) => {
      const inPath = pathParams.includes(name);
      return {
        name,
        in: inPath ? "path" : "query",
        ...(inPath || required.has(name) ? { required: true } : {}),
        schema: components.refer(schema),
      };
    });
}

function bodyOf(route: RestRoute, components: Components): JsonObject | undefined {
  const { method, action, spec } = route;
  if (method === "GET") return undefined;
  if (spec.stream) {
    const content = Object.fromEntries(spec.stream.map((type) => [type, { schema: { type: "string" } }]));
    return { required: true, description: "A stream, one item a line.", content };
  }
  if (spec.rawBody) {
    const content = { "application/json": { schema: {} } };
    return { required: true, description: "As the provider signed it, in its own shape.", content };
  }
  const schema = bodySchema(spec, route.pathParams);
  if (Object.keys(schema.properties).length === 0) return undefined;
  return {
    required: (schema.required ?? []).length > 0,
    content: {
      "application/json": { schema: components.refer(schema), example: exampleOf(action, schema) },
    },
  };
}

/** The action's params less those that stand in the path. */
function bodySchema({ params }: ActionSpec, pathParams: readonly string[]) {
  const properties: TProperties = Object.fromEntries(
    Object.entries(params.properties).filter(([name]) => !pathParams.includes(name)),
  );
  return Type.Object(properties, { additionalProperties: false });
}

function success({ action, spec }: RestRoute, components: Components): { [status: string]: JsonObject } {
  const status = spec.status ?? 200;
  const headers = {
    "X-Request-Id": header("X-Request-Id"),
    ...(serviceOf(action) === "cart" ? { "X-Cart-Token": header("X-Cart-Token") } : {}),
    ...(spec.idempotencyKey ? { "Idempotent-Replayed": header("Idempotent-Replayed") } : {}),
  };
  const content = { "application/json": { schema: components.refer(spec.result) } };
  const hasContent = status !== 204 && JSON.stringify(spec.result) !== '{"type":"null"}';
  const answer = { description: "Done.", headers, ...(hasContent ? { content } : {}) };
  const probe = { description: "Not now.", headers: { "X-Request-Id": header("X-Request-Id") }, content };
  return { [status]: answer, ...(PROBES.has(action) ? { "503": probe } : {}) };
}

let cached: { type: string; body: Buffer; etag: string } | undefined;

/** The document as it is served: made once, since it changes only with the program. */
export function openApiDocument(): { type: string; body: Buffer; etag: string } {
  if (!cached) {
    const body = Buffer.from(JSON.stringify(buildOpenApi()));
    const etag = `"${createHash("sha256").update(body).digest("base64url")}"`;
    cached = { type: "application/json; charset=utf-8", body, etag };
  }
  return cached;
}
