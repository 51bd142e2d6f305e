import { describe, expect, it } from "@jest/globals";
import Type, { type TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { Obj } from "../../lib/schema.ts";
import { specOf, violationsOf } from "../../middlewares/contract.ts";
import { contracts } from "../../services/contracts.ts";
import { ERROR_CODES } from "../../services/gateway/failure-response.ts";
import { buildOpenApi, openApiDocument } from "../../services/gateway/openapi.ts";
import { isObject, type Json, type JsonObject } from "../../services/gateway/openapi-schemas.ts";
import { restRoutes } from "../../services/gateway/routes.ts";

const document = buildOpenApi();

// --- the subset of OpenAPI 3.1 that the document uses, every object closed ----------------------------------------

const Reference = Obj({
  $ref: Type.String({ pattern: "^#/components/(parameters|headers|responses|schemas)/" }),
});
const JsonSchema = Type.Record(Type.String(), Type.Unknown());
const Header = Obj({
  description: Type.String({ minLength: 1 }),
  required: Type.Optional(Type.Boolean()),
  schema: JsonSchema,
});
const Content = Type.Record(
  Type.String({ pattern: "^[a-z]+/[a-z.+-]+$" }),
  Obj({ schema: JsonSchema, example: Type.Optional(Type.Unknown()) }),
);
const Response = Obj({
  description: Type.String({ minLength: 1 }),
  headers: Type.Record(Type.String(), Reference),
  content: Type.Optional(Content),
});
const Parameter = Obj({
  name: Type.String({ minLength: 1 }),
  in: Type.Enum(["path", "query", "header"]),
  description: Type.Optional(Type.String()),
  required: Type.Optional(Type.Literal(true)),
  schema: JsonSchema,
});
const Operation = Obj({
  operationId: Type.String({ pattern: "^[a-z][A-Za-z0-9]*$" }),
  summary: Type.String({ minLength: 1 }),
  tags: Type.Array(Type.String(), { minItems: 1, maxItems: 1 }),
  security: Type.Array(Obj({ bearer: Type.Optional(Type.Array(Type.String(), { maxItems: 0 })) })),
  parameters: Type.Optional(Type.Array(Type.Union([Reference, Parameter]), { minItems: 1 })),
  requestBody: Type.Optional(
    Obj({ required: Type.Boolean(), description: Type.Optional(Type.String()), content: Content }),
  ),
  responses: Type.Record(Type.String({ pattern: "^[1-5][0-9]{2}$" }), Type.Union([Reference, Response])),
});
const PathItem = Obj({
  get: Type.Optional(Operation),
  put: Type.Optional(Operation),
  post: Type.Optional(Operation),
  delete: Type.Optional(Operation),
  patch: Type.Optional(Operation),
});
const ComponentName = { pattern: "^[a-zA-Z0-9._-]+$" };
const Document = Obj({
  openapi: Type.Literal("3.1.0"),
  info: Obj({
    title: Type.String(),
    version: Type.String({ pattern: "^[0-9]+\\.[0-9]+\\.[0-9]+" }),
    description: Type.String(),
    license: Obj({ name: Type.String(), identifier: Type.String() }),
  }),
  servers: Type.Array(Obj({ url: Type.String() }), { minItems: 1 }),
  tags: Type.Array(Obj({ name: Type.String(), description: Type.String() })),
  paths: Type.Record(Type.String({ pattern: "^/" }), PathItem),
  components: Obj({
    schemas: Type.Record(Type.String(ComponentName), JsonSchema),
    responses: Type.Record(Type.String(ComponentName), Response),
    securitySchemes: Obj({
      bearer: Obj({
        type: Type.Literal("http"),
        scheme: Type.Literal("bearer"),
        bearerFormat: Type.String(),
        description: Type.String(),
      }),
    }),
    parameters: Type.Record(Type.String(ComponentName), Parameter),
    headers: Type.Record(Type.String(ComponentName), Header),
  }),
});

/** The keywords of JSON Schema 2020-12 that the contracts' schemas may have. */
const KEYWORDS = new Set(
  `$ref type properties patternProperties additionalProperties required items anyOf enum const format pattern minLength
   maxLength minimum maximum minItems maxItems minProperties maxProperties description examples`.split(/\s+/),
);
const TYPES = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);

function check(schema: TSchema, value: unknown) {
  const validator = Compile(schema);
  return validator.Check(value) ? [] : violationsOf(validator, value);
}

function* nodes(value: Json, path = ""): Generator<[string, JsonObject]> {
  if (Array.isArray(value)) for (const [i, inner] of value.entries()) yield* nodes(inner, `${path}/${i}`);
  else if (isObject(value)) {
    yield [path, value];
    for (const [key, inner] of Object.entries(value)) yield* nodes(inner, `${path}/${key}`);
  }
}

function at(path: string): Json | undefined {
  let value: Json | undefined = document;
  for (const key of path.split("/").slice(1)) value = isObject(value) ? value[key] : undefined;
  return value;
}

function object(value: Json | undefined): JsonObject {
  if (!isObject(value)) throw new Error("not an object");
  return value;
}

/** @param path as the contracts write it: `/api/products/:id` */
function operationOf(method: string, path: string): JsonObject {
  const item = object(object(document.paths)[path.replace(/:(\w+)/g, "{$1}")]);
  return object(item[method.toLowerCase()]);
}

const operations = Object.entries(object(document.paths)).flatMap(([path, item]) =>
  Object.entries(object(item)).map(([method, operation]) => ({ path, method, operation: object(operation) })),
);

/** Every JSON Schema of the document, with where it stands. */
function* schemas(): Generator<[string, JsonObject]> {
  for (const [path, node] of nodes(document))
    if (isObject(node.schema)) yield [`${path}/schema`, node.schema];
  for (const [name, schema] of Object.entries(object(at("/components/schemas"))))
    yield [`/components/schemas/${name}`, object(schema)];
}

describe("the OpenAPI document", () => {
  it("has the structure of OpenAPI 3.1 and nothing beside it", () => {
    expect(check(Document, document)).toEqual([]);
  });

  it("has only JSON Schema in its schemas", () => {
    const wrong: string[] = [];
    const visit = (path: string, schema: Json) => {
      if (!isObject(schema)) {
        if (typeof schema !== "boolean") wrong.push(path);
        return;
      }
      for (const key of Object.keys(schema)) if (!KEYWORDS.has(key)) wrong.push(`${path}: ${key}`);
      if (schema.type !== undefined && !TYPES.has(String(schema.type))) wrong.push(`${path}: ${schema.type}`);
      for (const key of ["properties", "patternProperties"])
        for (const [name, inner] of Object.entries(isObject(schema[key]) ? schema[key] : {}))
          visit(`${path}/${key}/${name}`, inner);
      for (const key of ["items", "additionalProperties"])
        if (schema[key] !== undefined) visit(`${path}/${key}`, schema[key]);
      if (Array.isArray(schema.anyOf))
        for (const [i, one] of schema.anyOf.entries()) visit(`${path}/anyOf/${i}`, one);
      for (const name of Array.isArray(schema.required) ? schema.required : [])
        if (!isObject(schema.properties) || !(String(name) in schema.properties))
          wrong.push(`${path}: ${name}`);
    };
    for (const [path, schema] of schemas()) visit(path, schema);
    expect(wrong).toEqual([]);
  });

  it("refers only to what is there, and has no component that nothing refers to", () => {
    const refs = new Set(
      [...nodes(document)].flatMap(([, { $ref }]) => (typeof $ref === "string" ? [$ref] : [])),
    );
    expect([...refs].filter((ref) => at(ref.slice(1)) === undefined)).toEqual([]);
    const components = Object.entries(object(document.components)).flatMap(([kind, named]) =>
      kind === "securitySchemes"
        ? []
        : Object.keys(object(named)).map((name) => `#/components/${kind}/${name}`),
    );
    expect(components.filter((name) => !refs.has(name))).toEqual([]);
  });

  it("names what recurs, once", () => {
    const names = Object.keys(object(at("/components/schemas")));
    expect(names).toEqual(
      expect.arrayContaining(["Product", "Cart", "Order", "User", "Payment", "Error", "Category"]),
    );
    for (const name of ["Product", "Cart", "Order", "User"]) {
      const whole = JSON.stringify(at(`/components/schemas/${name}`));
      expect(JSON.stringify(document).split(whole)).toHaveLength(2);
    }
  });

  it("has the tree of categories refer to itself", () => {
    expect(at("/components/schemas/Category/properties/children/items")).toEqual({
      $ref: "#/components/schemas/Category",
    });
  });

  it("lists every route of the contracts, under ids of their own", () => {
    const described = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    const routed = restRoutes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
    expect(described.sort()).toEqual(routed.sort());
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("puts each param of a contract into the path, the query or the body, as the gateway reads it", () => {
    for (const { method, path, spec, pathParams } of restRoutes) {
      if (spec.stream || spec.rawBody) continue;
      const { parameters = [], requestBody } = operationOf(method, path);
      const own = (Array.isArray(parameters) ? parameters : [])
        .map(object)
        .filter(({ name }) => name !== undefined);
      const inPath = own.filter((one) => one.in === "path").map(({ name }) => name);
      const inQuery = own.filter((one) => one.in === "query").map(({ name }) => name);
      const schema = isObject(requestBody)
        ? object(object(object(requestBody.content)["application/json"]).schema)
        : undefined;
      const inBody = schema ? Object.keys(object(schema.properties)) : [];
      expect(inPath).toEqual(pathParams);
      expect(method === "GET" ? inBody : inQuery).toEqual([]);
      expect([...inPath, ...inQuery, ...inBody].sort()).toEqual(Object.keys(spec.params.properties).sort());
    }
  });

  it("gives examples that the contracts accept", () => {
    const refused: unknown[] = [];
    for (const { method, path, spec, action, pathParams } of restRoutes) {
      const operation = operationOf(method, path);
      const body = isObject(operation.requestBody)
        ? object(operation.requestBody.content)["application/json"]
        : undefined;
      if (!isObject(body) || spec.rawBody) continue;
      const params = { ...object(body.example) };
      for (const name of pathParams) {
        const property: JsonObject = JSON.parse(JSON.stringify(spec.params.properties[name]));
        params[name] = Array.isArray(property.examples) ? (property.examples[0] ?? null) : "x";
      }
      const violations = check(spec.params, params);
      if (violations.length > 0) refused.push({ action, params, violations });
    }
    expect(refused).toEqual([]);
  });

  it("tells who may call", () => {
    const security = (method: string, path: string) => operationOf(method, path).security;
    expect(security("POST", "/api/auth/login")).toEqual([]);
    expect(security("GET", "/api/products")).toEqual([{}, { bearer: [] }]);
    expect(security("GET", "/api/orders")).toEqual([{ bearer: [] }]);
    expect(security("GET", "/api/users")).toEqual([{ bearer: [] }]);
  });

  it("tells which failures to expect, by status and code", () => {
    const responses = (method: string, path: string) => object(operationOf(method, path).responses);
    expect(Object.keys(responses("POST", "/api/orders"))).toEqual(
      expect.arrayContaining([
        "201",
        "400",
        "401",
        "402",
        "409",
        "413",
        "415",
        "422",
        "429",
        "500",
        "503",
        "504",
      ]),
    );
    expect(JSON.stringify(responses("POST", "/api/orders")["409"])).toContain("INSUFFICIENT_STOCK");
    expect(Object.keys(responses("GET", "/api/products"))).not.toContain("403");
    expect(Object.keys(responses("GET", "/api/users"))).toContain("403");
    expect(Object.keys(responses("GET", "/api/health/live"))).not.toContain("429");
    expect(responses("GET", "/health")["503"]).toMatchObject({
      content: { "application/json": { schema: { $ref: "#/components/schemas/Health" } } },
    });
    for (const { errors = [] } of contracts.flatMap(({ actions }) => Object.values(actions))) {
      for (const { code } of errors) expect(ERROR_CODES).toContain(code);
    }
  });

  it("names the headers that requests may carry", () => {
    for (const { path, method, action } of restRoutes) {
      const named = JSON.stringify(operationOf(method, path).parameters ?? []);
      expect(named.includes("IdempotencyKey")).toBe(specOf(action)?.idempotencyKey ?? false);
      if (action.startsWith("cart.")) expect(named).toContain("CartToken");
    }
  });

  it("is made once, and its tag changes with it", () => {
    expect(openApiDocument()).toBe(openApiDocument());
    expect(JSON.parse(openApiDocument().body.toString())).toEqual(document);
  });
});
