import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { type RestRoute, restRoutes } from "../../services/gateway/routes.ts";
import { type Answer, adminToken, givenProduct, givenUser, type Json, send } from "../helpers/client.ts";
import { edgesOf, type JsonSchema, sampleOf, sampleOfObject } from "../helpers/edge-values.ts";
import { runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/**
 * Every route of every contract, asked for in all the ways it must refuse: what it must is read from its declaration, so a
 * new route is held to it from its first day. Whatever is refused changes nothing.
 */

let shop: Shop;
let tokens: { customer: string; admin: string };
let before: unknown;

beforeAll(async () => {
  shop = await startShop();
  const admin = await adminToken(shop);
  const customer = await givenUser(shop);
  tokens = { customer: customer.token, admin };
  await givenProduct(shop, admin);
  before = await state();
});
afterAll(async () => await shop?.stop());

/** What is in every table of the services: a hash for each. */
async function state(): Promise<Record<string, string>> {
  const tables = await runSql<{ name: string }>(
    shop,
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname IN ('users', 'products', 'inventory', 'orders', 'payments')
       AND tablename <> 'stock_feed' -- how far products has read: it goes on without a request
     ORDER BY name`,
  );
  expect(tables.length).toBeGreaterThan(10);
  const hashes: Record<string, string> = {};
  for (const { name } of tables) {
    const [row] = await runSql<{ hash: string }>(
      shop,
      `SELECT count(*) || md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) AS hash FROM ${name} t`,
    );
    hashes[name] = row?.hash ?? "";
  }
  return hashes;
}

const nameOf = ({ method, path }: RestRoute) => `${method} ${path}`;
const routes = restRoutes.map((route) => ({ name: nameOf(route), route }));
const isFor = (who: string) =>
  routes.filter(({ route }) => route.spec.permissions.some((one) => one === who));
const isOpen = ({ spec }: RestRoute) => spec.permissions.includes("public");
const takesJson = ({ method, spec }: RestRoute) => method !== "GET" && !spec.stream && !spec.rawBody;

/** Who may: a customer if one may, else the admin. */
const tokenFor = ({ spec }: RestRoute) =>
  spec.permissions.some((one) => one === "user" || one === "public") ? tokens.customer : tokens.admin;

const schemaOf = (route: RestRoute): JsonSchema => JSON.parse(JSON.stringify(route.spec.params));
/** The params that a client sends in the query or the body. */
function paramsOf(route: RestRoute): [string, JsonSchema][] {
  if (route.spec.stream || route.spec.rawBody) return [];
  return Object.entries(schemaOf(route).properties ?? {}).filter(
    ([name]) => !route.pathParams.includes(name),
  );
}
/** The address with a good value for each of its parameters, or with the one that is given. */
function addressOf(route: RestRoute, id?: string): string {
  const properties = schemaOf(route).properties ?? {};
  return route.path.replace(/:(\w+)/g, (_, name) =>
    encodeURIComponent(id ?? String(sampleOf(properties[name] ?? {}))),
  );
}

/** Asks with these params: in the query of a GET, else in the body. */
function ask(
  route: RestRoute,
  params: Record<string, Json>,
  address = addressOf(route),
  token = tokenFor(route),
) {
  if (route.method !== "GET") return send(shop, route.method, address, params, { token });
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) query.set(name, String(value));
  return send(shop, "GET", `${address}?${query}`, undefined, { token });
}

/** Text is all that a query can hold: a number where a text is wanted is one there. */
const fits = (route: RestRoute, schema: JsonSchema) => (value: Json) =>
  route.method !== "GET" ||
  typeof value === "string" ||
  (typeof value === "number" && schema.type !== "string" && !schema.anyOf) ||
  (typeof value === "boolean" && schema.type === "boolean");

/** Where the values stand that were refused. */
function paths(answer: Answer): string[] {
  const violations = answer.at("details", "violations");
  return [...JSON.stringify(violations ?? []).matchAll(/"path":"([^"]*)"/g)].map(([, path = ""]) => path);
}
const isAbout = (name: string) => (path: string) => path === `/${name}` || path.startsWith(`/${name}/`);

function expectShape(answer: Answer): void {
  expect(answer.body).toMatchObject({ error: expect.any(String), code: expect.any(String) });
  expect(answer.headers.get("x-request-id")).toBe(answer.body.request_id);
}

describe("without the right to it", () => {
  const WHATEVER: Record<string, Json>[] = [{}, { surprise: 1 }];

  it.each(routes.filter(({ route }) => !isOpen(route)))(
    "$name is 401 without a token and with a bad one",
    async ({ route }) => {
      for (const token of [undefined, "not-a-token", `${tokens.customer.slice(0, -4)}AAAA`]) {
        const answer = await send(shop, route.method, addressOf(route), undefined, { token });
        expectShape(answer);
        expect([token, answer.status]).toEqual([token, 401]);
      }
    },
  );

  it.each(routes.filter(({ route }) => !isOpen(route) && !isFor("user").some((one) => one.route === route)))(
    "$name is 403 for a customer, whatever is sent",
    async ({ route }) => {
      for (const params of WHATEVER) {
        const answer = await ask(route, params, addressOf(route), tokens.customer);
        expectShape(answer);
        expect([answer.status, answer.body.code]).toEqual([403, "FORBIDDEN"]);
      }
    },
  );
});

describe("a body of the wrong form", () => {
  it.each(routes.filter(({ route }) => takesJson(route)))(
    "$name: malformed is 400, not JSON is 415",
    async ({ route }) => {
      const post = (body: string, type = "application/json") =>
        send(shop, route.method, addressOf(route), body, {
          token: tokenFor(route),
          headers: { "content-type": type },
        });
      const answers = [
        await post('{"a":'),
        await post("[]"),
        await post('"a"'),
        await post("a=1", "text/plain"),
      ];
      expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 415]);
      for (const answer of answers) expectShape(answer);
    },
  );

  it.each(routes.filter(({ route }) => route.spec.stream))(
    "$name: what is no such stream is 415",
    async ({ route }) => {
      const answer = await ask(route, {});
      expectShape(answer);
      expect(answer.status).toBe(415);
    },
  );
});

describe("an unknown field", () => {
  it.each(routes.filter(({ route }) => !route.spec.stream && !route.spec.rawBody))(
    "of $name is 422 by its name",
    async ({ route }) => {
      const answer = await ask(route, { surprise: 1 });
      expectShape(answer);
      expect([answer.status, paths(answer).includes("/surprise")]).toEqual([422, true]);
    },
  );
});

describe("a value", () => {
  const cases = routes.flatMap(({ name, route }) =>
    paramsOf(route).map(([param, schema]) => ({ name, route, param, schema })),
  );

  it.each(cases)("$param of $name is 422 beyond its edge, by its path", async ({ route, param, schema }) => {
    const refused = edgesOf(schema).refused.filter(fits(route, schema));
    // A text without a limit would be the only thing that can't be refused.
    expect(route.method === "GET" || refused.length > 0).toBe(true);
    for (const value of refused) {
      const answer = await ask(route, { [param]: value });
      const what = { [param]: JSON.stringify(value)?.slice(0, 60) };
      expect({ ...what, status: answer.status, about: paths(answer).some(isAbout(param)) }).toEqual({
        ...what,
        status: 422,
        about: true,
      });
    }
  });

  // With an unknown field beside it nothing comes of it.
  it.each(cases)("$param of $name is taken at its edge", async ({ route, param, schema }) => {
    for (const value of edgesOf(schema).accepted.filter(fits(route, schema))) {
      const answer = await ask(route, { [param]: value, surprise: 1 });
      const what = { [param]: JSON.stringify(value)?.slice(0, 60) };
      expect({ ...what, status: answer.status, about: paths(answer).filter(isAbout(param)) }).toEqual({
        ...what,
        status: 422,
        about: [],
      });
    }
  });

  const needs = routes.flatMap(({ name, route }) =>
    paramsOf(route)
      .filter(([param]) => schemaOf(route).required?.includes(param))
      .map(([param]) => ({ name, route, param })),
  );
  it.each(needs)("$param of $name is 422 if it is missing", async ({ route, param }) => {
    const answer = await ask(route, {});
    expect([answer.status, paths(answer).includes(`/${param}`)]).toEqual([422, true]);
  });
});

/** For an id of nothing they have another answer: an empty list, and a provider is one of those there are. */
const OWN_ANSWER = new Set(["GET /api/orders/user/:user_id", "POST /api/payments/webhooks/:provider"]);

describe("an address", () => {
  const named = routes.filter(({ route }) => route.pathParams.length > 0);
  const STRANGE = [
    "0",
    "-1",
    "1.5",
    "2147483648",
    "9".repeat(30),
    "abc",
    "1' OR '1'='1",
    "../1",
    "null",
    "NaN",
    "x".repeat(300),
  ];
  /** What a client would send: all that the route requires. */
  const whole = (route: RestRoute) => {
    const required = schemaOf(route).required?.filter((name) => !route.pathParams.includes(name));
    return sampleOfObject(Object.fromEntries(paramsOf(route)), required);
  };

  it.each(named)("$name is 404 or 422 for what can be no id", async ({ route }) => {
    for (const id of STRANGE) {
      const answer = await ask(route, whole(route), addressOf(route, id));
      expectShape(answer);
      expect({ id, status: answer.status }).toEqual({ id, status: answer.status === 404 ? 404 : 422 });
    }
  });

  it.each(named.filter(({ route }) => !OWN_ANSWER.has(nameOf(route))))(
    "$name is 404 for an id of nothing",
    async ({ route }) => {
      const [param = ""] = route.pathParams;
      const isNumber = schemaOf(route).properties?.[param]?.type === "integer";
      const answer = await ask(route, whole(route), addressOf(route, isNumber ? "2147483647" : newId()));
      expectShape(answer);
      expect([answer.status, answer.body.code]).toEqual([404, "NOT_FOUND"]);
    },
  );
});

describe("after all this", () => {
  it("nothing has changed", async () => {
    expect(await state()).toEqual(before);
  });
});
