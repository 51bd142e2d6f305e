import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { SECURITY_HEADERS } from "../../services/gateway/headers.ts";
import { type Answer, send } from "../helpers/client.ts";
import { FakePeople } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const ORIGIN = "https://shop.example.com";
const people = new FakePeople();
let shop: Shop;

beforeAll(async () => {
  shop = await startShop({
    env: { CORS_ORIGINS: `${ORIGIN},http://localhost:3000`, TRUST_PROXY: "true" },
    replace: people.services,
  });
});
afterAll(async () => await shop.stop());

const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
  send(shop, method, path, body, { headers });

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

  it("name the scheme of a token that is missing or not good", async () => {
    const schemeOf = async (headers?: Record<string, string>) =>
      (await ask("GET", "/api/orders", headers)).headers.get("www-authenticate");
    expect(await schemeOf()).toBe("Bearer");
    expect(await schemeOf({ authorization: "Bearer none" })).toBe('Bearer error="invalid_token"');
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
    // Not the payment, user or product of that id.
    ["GET", "/api/payments/process", "POST, OPTIONS"],
    ["PUT", "/api/users/login", "POST, OPTIONS"],
    ["DELETE", "/api/products/import", "POST, OPTIONS"],
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
