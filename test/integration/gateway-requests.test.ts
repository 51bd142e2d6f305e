import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type Answer, send } from "../helpers/client.ts";
import { FakePeople } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const people = new FakePeople();
let shop: Shop;

beforeAll(async () => {
  shop = await startShop({ replace: people.services });
});
afterAll(async () => await shop.stop());

const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
  send(shop, method, path, body, { headers });

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

describe("a value that is refused", () => {
  const register = (fields: object) => () => {
    const account = { email: "ada@example.com", password: "correct horse", name: "Ada Lovelace" };
    return send(shop, "POST", "/api/auth/register", { ...account, ...fields });
  };
  const asAdmin = (path: string) => () =>
    send(shop, "GET", path, undefined, { token: people.add("admin").token });

  it.each<[says: string, () => Promise<Answer>]>([
    ["/email: must be an email address.", register({ email: "ada@example" })],
    ["/name: must not be blank.", register({ name: " " })],
    ["/phone: must be a phone number: 5 to 30 digits, blanks and ( ) . -.", register({ phone: "none" })],
    [
      "/sort: must be one of newest, price, -price, name, relevance.",
      () => ask("GET", "/api/products?sort=cheap"),
    ],
    ["/ids: must be 1 to 100 ids, separated by commas.", () => ask("GET", "/api/products?ids=1,,2")],
    ["/user_id: must be a UUID.", asAdmin("/api/orders/all?user_id=7")],
    ["/from: must be a time like 2026-11-20T10:00:00Z.", asAdmin("/api/orders/all?from=yesterday")],
    ["/from: must be a time like 2026-11-20T10:00:00Z.", asAdmin("/api/analytics/summary?from=yesterday")],
  ])("is told of as %j", async (says, request) => {
    const { status, body } = await request();
    expect([status, body.code, body.error]).toEqual([422, "VALIDATION_FAILED", says]);
  });
});
