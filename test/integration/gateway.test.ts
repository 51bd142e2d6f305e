import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Permission } from "../../lib/contract.ts";
import { contracts } from "../../services/contracts.ts";
import { SECURITY_HEADERS } from "../../services/gateway/headers.ts";
import { restRoutes } from "../../services/gateway/routes.ts";
import { type Answer, send } from "../helpers/client.ts";
import { FakePeople, type FakePerson } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const ORIGIN = "https://shop.example.com";
const people = new FakePeople();
let shop: Shop;
let customer: FakePerson;

beforeAll(async () => {
  shop = await startShop({
    env: { CORS_ORIGINS: `${ORIGIN},http://localhost:3000`, TRUST_PROXY: "true" },
    replace: people.services,
  });
  customer = people.add();
});
afterAll(async () => await shop.stop());

const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
  send(shop, method, path, body, { headers });

describe("the routes", () => {
  /** Who: – anyone, U a logged-in user, A an admin. */
  const EXPECTED = `
    POST /api/auth/register –
    POST /api/auth/login –
    POST /api/auth/refresh –
    POST /api/auth/logout U
    GET /api/auth/verify U
    POST /api/auth/verify U
    POST /api/auth/password/forgot –
    POST /api/auth/password/reset –
    GET /api/users/profile U
    PUT /api/users/profile U
    GET /api/users/me U
    PUT /api/users/me U
    GET /api/users/addresses U
    POST /api/users/addresses U
    PUT /api/users/addresses/:id U
    DELETE /api/users/addresses/:id U
    GET /api/users A
    GET /api/users/:id A
    PUT /api/users/:id A
    POST /api/users/register –
    POST /api/users/login –
    GET /api/products –
    GET /api/products/:id –
    POST /api/products A
    PUT /api/products/:id A
    PATCH /api/products/:id A
    DELETE /api/products/:id A
    PUT /api/products/:id/stock A
    PATCH /api/products/:id/stock A
    POST /api/products/import A
    GET /api/categories –
    POST /api/categories A
    PUT /api/categories/:id A
    DELETE /api/categories/:id A
    GET /api/cart –
    DELETE /api/cart –
    POST /api/cart/items –
    PUT /api/cart/items/:product_id –
    DELETE /api/cart/items/:product_id –
    POST /api/cart/validate –
    POST /api/orders U
    GET /api/orders U
    GET /api/orders/:id U
    GET /api/orders/:id/history U
    POST /api/orders/:id/cancel U
    PUT /api/orders/:id/status A
    PATCH /api/orders/:id/status A
    GET /api/orders/all A
    GET /api/orders/user/:user_id A
    POST /api/payments/process U
    GET /api/payments/:id U
    GET /api/orders/:id/payments U
    POST /api/payments/:id/refund A
    POST /api/payments/webhooks/:provider –
    GET /api/notifications U
    POST /api/notifications/:id/read U
    POST /api/analytics/events –
    GET /api/analytics/summary A
    GET /health –
    GET /api/health –
    GET /health/live –
    GET /api/health/live –
    GET /health/ready –
    GET /api/health/ready –
    GET /api/admin/verify A
    GET /api/admin/sagas A
    POST /api/admin/sagas/:order_id/redrive A
    GET /api/admin/outbox A
  `
    .trim()
    .split("\n")
    .map((line) => line.trim());

  const WHO: Record<string, string> = { public: "–", user: "U", admin: "A" };
  const whoOf = (permissions: readonly Permission[]) =>
    ["public", "user", "admin"]
      .filter((one) => permissions.some((own) => own === one))
      .map((one) => WHO[one]);

  it("are those of the API's table, each for whom it says, and no others", () => {
    const actual = restRoutes.map(
      ({ method, path, spec }) => `${method} ${path} ${whoOf(spec.permissions).join("")}`,
    );
    expect(actual.sort()).toEqual([...EXPECTED].sort());
  });

  it("lead somewhere only if their method and path are asked for exactly", async () => {
    for (const line of EXPECTED) {
      const [method = "", path = "", who] = line.split(" ");
      const { status, body } = await ask(method, path.replace(/:\w+/g, "1"));
      expect(`${line}: ${body.code}`).not.toMatch(/ROUTE_NOT_FOUND|METHOD_NOT_ALLOWED/);
      if (who !== "–") expect(`${line}: ${status}`).toBe(`${line}: 401`);
    }
  });

  it("an admin's are closed to a customer", async () => {
    for (const line of EXPECTED.filter((one) => one.endsWith(" A"))) {
      const [method = "", path = ""] = line.split(" ");
      const answer = await send(shop, method, path.replace(/:\w+/g, "1"), undefined, {
        token: customer.token,
      });
      expect(`${line}: ${answer.status} ${answer.at("code")}`).toBe(`${line}: 403 FORBIDDEN`);
    }
  });

  it.each(["GET", "POST"])("Moleculer's own are not there: %s", async (method) => {
    const hidden = [
      "/~node/list",
      "/~node/actions",
      "/api/~node/list",
      "/$node/list",
      "/listAliases",
      "/list-aliases",
      "/api/list-aliases",
      "/gateway/listAliases",
      "/api/gateway/rest",
      "/api/inventory/levels",
      "/api/auth/resolve",
      "/api/orders/audit/x/y",
    ];
    for (const path of hidden) {
      const { status, body } = await ask(method, path);
      expect({ path, status, code: body.code }).toEqual({ path, status: 404, code: "ROUTE_NOT_FOUND" });
    }
  });
});

describe("every action of every contract", () => {
  const actions = contracts.flatMap(({ name, actions }) =>
    Object.entries(actions).map(([key, spec]) => ({ name: `${name}.${key}`, ...spec })),
  );

  it.each(actions)("$name says who may call it", ({ permissions, rest }) => {
    expect(permissions.length).toBeGreaterThan(0);
    // What has a route is for people, what has none for services: never for anyone by chance.
    expect(permissions.some((one) => one !== "service")).toBe(
      rest !== undefined || permissions.includes("admin"),
    );
    if (rest === undefined) expect(permissions).toContain("service");
  });
});

describe("the headers that every answer carries", () => {
  const CASES: [string, () => Promise<Answer>, number][] = [
    ["a success", () => ask("GET", "/api/health/live"), 200],
    ["no route", () => ask("GET", "/nothing/here"), 404],
    ["no such method", () => ask("PATCH", "/api/cart"), 405],
    ["a guest at a user's", () => ask("GET", "/api/orders"), 401],
    ["a bad token", () => ask("GET", "/api/products", { authorization: "Bearer none" }), 401],
    ["a malformed body", () => ask("POST", "/api/cart/items", {}, "{"), 400],
    ["refused values", () => ask("GET", "/api/products?page=0"), 422],
    ["a preflight", () => ask("OPTIONS", "/api/cart", { origin: ORIGIN }), 204],
    ["the document", () => ask("GET", "/api/openapi.json"), 200],
  ];

  it.each(CASES)("%s", async (_name, request, status) => {
    const { headers, status: actual } = await request();
    expect(actual).toBe(status);
    const { "Cache-Control": cache, ...fixed } = SECURITY_HEADERS;
    expect(Object.fromEntries(Object.keys(fixed).map((name) => [name, headers.get(name)]))).toEqual(fixed);
    expect(headers.get("cache-control")).toMatch(/^no-(store|cache)$/);
    if (status >= 400) expect(headers.get("cache-control")).toBe(cache);
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers.get("x-powered-by")).toBeNull();
    expect(headers.get("server")).toBeNull();
    expect(headers.get("vary")).toBe("Origin");
  });

  it("promise TLS only where the proxy says that the client has it", async () => {
    const withProto = (proto: string) => ask("GET", "/api/health/live", { "x-forwarded-proto": proto });
    expect((await withProto("https")).headers.get("strict-transport-security")).toMatch(/^max-age=\d{7,}$/);
    expect((await withProto("http")).headers.get("strict-transport-security")).toBeNull();
    expect((await withProto("https, http")).headers.get("strict-transport-security")).toBeNull();
  });
});

describe("the request's id", () => {
  it("is the client's own if it is harmless, also in the body of an error", async () => {
    const answer = await ask("GET", "/api/nothing", { "x-request-id": "order-42.retry:1" });
    expect(answer.headers.get("x-request-id")).toBe("order-42.retry:1");
    expect(answer.body.request_id).toBe("order-42.retry:1");
  });

  it.each(["<script>", "a b", "x".repeat(101), "{}"])("is a new one instead of %j", async (id) => {
    const { headers } = await ask("GET", "/api/health/live", { "x-request-id": id, "x-correlation-id": id });
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("CORS", () => {
  const preflight = (path: string, origin: string, method = "POST") =>
    ask("OPTIONS", path, { origin, "access-control-request-method": method });

  it("lets an allowed origin read an answer and what it needs of its headers", async () => {
    const { headers } = await ask("GET", "/api/health/live", { origin: ORIGIN });
    expect(headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(headers.get("access-control-expose-headers")).toBe(
      "X-Request-Id, X-Cart-Token, Retry-After, Idempotent-Replayed",
    );
    expect(headers.get("access-control-allow-credentials")).toBeNull();
    expect(headers.get("access-control-allow-methods")).toBeNull();
  });

  it("lets it read failures too", async () => {
    expect(
      (await ask("GET", "/api/orders", { origin: ORIGIN })).headers.get("access-control-allow-origin"),
    ).toBe(ORIGIN);
    expect(
      (await ask("GET", "/nothing", { origin: ORIGIN })).headers.get("access-control-allow-origin"),
    ).toBe(ORIGIN);
  });

  it.each([
    "https://shop.example.co",
    "https://shop.example.com.evil.org",
    "https://evil-shop.example.com",
    "http://shop.example.com",
    "https://SHOP.example.com",
    "null",
    "*",
    `${ORIGIN}/`,
  ])("tells %s nothing", async (origin) => {
    for (const answer of [
      await preflight("/api/cart/items", origin),
      await ask("GET", "/api/products/x", { origin }),
    ]) {
      const names = [...answer.headers.keys()].filter((name) => name.startsWith("access-control-"));
      expect(names).toEqual([]);
      expect(answer.headers.get("vary")).toBe("Origin");
    }
  });

  it.each([
    ["/api/cart/items", "POST, OPTIONS"],
    ["/api/cart", "GET, DELETE, HEAD, OPTIONS"],
    ["/api/products/7", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"],
    ["/api/openapi.json", "GET, HEAD, OPTIONS"],
  ])("answers a preflight of %s with its methods: %s", async (path, methods) => {
    const { status, headers } = await preflight(path, ORIGIN);
    expect(status).toBe(204);
    expect(headers.get("allow")).toBe(methods);
    expect(headers.get("access-control-allow-methods")).toBe(methods);
    expect(headers.get("access-control-allow-headers")).toBe(
      "Authorization, Content-Type, Idempotency-Key, X-Cart-Token, X-Request-Id",
    );
    expect(headers.get("access-control-max-age")).toBe("600");
  });

  it("knows no preflight of what isn't there, and runs nothing for one of what is", async () => {
    expect((await preflight("/nothing", ORIGIN)).status).toBe(404);
    const { status } = await ask("OPTIONS", "/api/orders", {
      origin: ORIGIN,
      "access-control-request-method": "GET",
    });
    expect(status).toBe(204);
  });
});

describe("methods", () => {
  it.each([
    ["PATCH", "/api/cart", "GET, DELETE, HEAD, OPTIONS"],
    ["DELETE", "/api/orders/all", "GET, HEAD, OPTIONS"],
    ["PROPFIND", "/api/categories/3", "PUT, DELETE, OPTIONS"],
    ["POST", "/api/docs", "GET, HEAD, OPTIONS"],
    ["POST", "/health", "GET, HEAD, OPTIONS"],
    ["HEAD", "/api/auth/login", "POST, OPTIONS"],
  ])("%s %s is 405, with Allow: %s", async (method, path, allow) => {
    const { status, headers, body } = await ask(method, path);
    expect(status).toBe(405);
    expect(headers.get("allow")).toBe(allow);
    if (method !== "HEAD") expect(body.code).toBe("METHOD_NOT_ALLOWED");
  });

  it("HEAD answers as GET does, without the body", async () => {
    for (const path of [
      "/api/health/live",
      "/api/products?limit=1",
      "/api/openapi.json",
      "/api/products/999999",
    ]) {
      const [head, get] = [await ask("HEAD", path), await ask("GET", path)];
      expect({ path, status: head.status }).toEqual({ path, status: get.status });
      expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
      expect(head.headers.get("content-length")).toBe(get.headers.get("content-length"));
      expect(head.body).toEqual({});
    }
  });

  it("HEAD reads the query as GET does", async () => {
    expect((await ask("HEAD", "/api/products?page=0")).status).toBe(422);
  });

  it("OPTIONS without CORS tells the methods", async () => {
    const { status, headers } = await ask("OPTIONS", "/api/users/addresses/1");
    expect([status, headers.get("allow")]).toEqual([204, "PUT, DELETE, OPTIONS"]);
    expect(headers.get("access-control-allow-methods")).toBeNull();
  });
});

describe("a request that is refused for its form", () => {
  const JSON_TYPE = { "content-type": "application/json" };
  const post = (body: string, headers: Record<string, string> = JSON_TYPE) =>
    ask("POST", "/api/cart/items", headers, body);
  const deep = `${'{"a":'.repeat(40)}1${"}".repeat(40)}`;

  const CASES: [string, () => Promise<Answer>, number, string][] = [
    [
      "text instead of JSON",
      () => post("{}", { "content-type": "text/plain" }),
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ],
    [
      "a form",
      () => post("a=b", { "content-type": "application/x-www-form-urlencoded" }),
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ],
    [
      "JSON in another charset",
      () => post("{}", { "content-type": "application/json; charset=utf-16" }),
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ],
    [
      "a compressed body",
      () => post("{}", { ...JSON_TYPE, "content-encoding": "gzip" }),
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ],
    ["a body that is too large", () => post(`{"a":"${"x".repeat(1_000_000)}"}`), 413, "PAYLOAD_TOO_LARGE"],
    ["malformed JSON", () => post('{"product_id":1,}'), 400, "MALFORMED_REQUEST"],
    ["a JSON array", () => post("[]"), 400, "MALFORMED_REQUEST"],
    ["a JSON string", () => post('"x"'), 400, "MALFORMED_REQUEST"],
    ["__proto__", () => post('{"product_id":1,"__proto__":{"role":"admin"}}'), 400, "MALFORMED_REQUEST"],
    [
      "__proto__ further down",
      () => post('{"product_id":1,"x":[{"__proto__":1}]}'),
      400,
      "MALFORMED_REQUEST",
    ],
    ["a NUL", () => post('{"product_id":"\\u0000"}'), 400, "MALFORMED_REQUEST"],
    ["half a surrogate", () => post('{"product_id":"\\ud800"}'), 400, "MALFORMED_REQUEST"],
    ["nesting without end", () => post(deep), 400, "MALFORMED_REQUEST"],
    ["nesting to overflow a stack", () => post("[".repeat(200_000)), 400, "MALFORMED_REQUEST"],
    ["an unknown property", () => post('{"product_id":1,"role":"admin"}'), 422, "VALIDATION_FAILED"],
    ["a path that is no percent-encoding", () => ask("GET", "/api/products/%zz"), 400, "MALFORMED_REQUEST"],
    ["a path that is no UTF-8", () => ask("GET", "/api/products/%ff"), 400, "MALFORMED_REQUEST"],
    ["a path with a NUL", () => ask("GET", "/api/products/%00"), 400, "MALFORMED_REQUEST"],
    ["a broken path of another method", () => ask("PATCH", "/api/orders/%zz"), 400, "MALFORMED_REQUEST"],
    [
      "a query that is no percent-encoding",
      () => ask("GET", "/api/products?search=%zz"),
      400,
      "MALFORMED_REQUEST",
    ],
    ["a query that is no UTF-8", () => ask("GET", "/api/products?search=%ff"), 400, "MALFORMED_REQUEST"],
    ["a key given twice", () => ask("GET", "/api/products?page=1&page=2"), 400, "MALFORMED_REQUEST"],
    ["__proto__ in the query", () => ask("GET", "/api/products?__proto__=1"), 400, "MALFORMED_REQUEST"],
    ["an unknown key in the query", () => ask("GET", "/api/products?foo=1"), 422, "VALIDATION_FAILED"],
    [
      "a key that every object has",
      () => ask("GET", "/api/products?constructor=1"),
      422,
      "VALIDATION_FAILED",
    ],
    [
      "a query that is an object elsewhere",
      () => ask("GET", "/api/products?page[$gt]=1"),
      422,
      "VALIDATION_FAILED",
    ],
    [
      "a query where the body counts",
      () => ask("POST", "/api/cart/items?quantity=3", JSON_TYPE, '{"product_id":1}'),
      422,
      "VALIDATION_FAILED",
    ],
    ["no number", () => ask("GET", "/api/products?page=one"), 422, "VALIDATION_FAILED"],
    ["an empty number", () => ask("GET", "/api/products?page="), 422, "VALIDATION_FAILED"],
    [
      "the path's parameter in the body",
      () => ask("PUT", "/api/cart/items/1", JSON_TYPE, '{"product_id":2,"quantity":1}'),
      400,
      "MALFORMED_REQUEST",
    ],
    [
      "an address over 8 KB",
      () => ask("GET", `/api/products?search=${"x".repeat(8200)}`),
      414,
      "ADDRESS_TOO_LONG",
    ],
    [
      "a cart token of another make",
      () => ask("GET", "/api/cart", { "x-cart-token": "'; DROP TABLE" }),
      400,
      "MALFORMED_REQUEST",
    ],
    [
      "another scheme than Bearer",
      () => ask("GET", "/api/orders", { authorization: "Basic YTpi" }),
      401,
      "INVALID_TOKEN",
    ],
    ["an empty token", () => ask("GET", "/api/orders", { authorization: "Bearer " }), 401, "INVALID_TOKEN"],
  ];

  it.each(CASES)("%s", async (_name, request, status, code) => {
    const answer = await request();
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code });
    expect(
      Object.keys(answer.body)
        .filter((key) => key !== "details")
        .sort(),
    ).toEqual(["code", "error", "request_id"]);
  });

  it("is no reason to refuse what follows", async () => {
    for (const [, request] of CASES.slice(0, 6)) await request();
    expect((await ask("GET", "/api/health/live")).status).toBe(200);
  });

  it("says where the refused value stands", async () => {
    const answer = await post('{"product_id":1,"quantity":"many"}');
    expect(answer.at("details", "violations", 0, "path")).toBe("/quantity");
  });
});

describe("a token that has expired", () => {
  const expired = { authorization: "Bearer expired" };

  it("is told of, where a token may be given", async () => {
    expect((await ask("GET", "/api/products", expired)).body.code).toBe("INVALID_TOKEN");
  });

  it("keeps nobody from a new one, nor a probe from its answer", async () => {
    const body = JSON.stringify({ refresh_token: "whatever" });
    const answer = await ask(
      "POST",
      "/api/auth/refresh",
      { ...expired, "content-type": "application/json" },
      body,
    );
    // The fake has no refresh: that it was asked is what counts.
    expect(answer.status).toBe(500);
    expect((await ask("GET", "/api/health/live", expired)).status).toBe(200);
  });
});
