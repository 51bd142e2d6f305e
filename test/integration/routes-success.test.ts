import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type RestRoute, restRoutes } from "../../services/gateway/routes.ts";
import { type Answer, adminToken, givenUser, send, type TestUser } from "../helpers/client.ts";
import { requestsOf } from "../helpers/route-requests.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/**
 * Every route of every contract, asked for once as it is meant to be: it answers by its own status, and, as a shop under
 * test checks of all its answers, exactly as its contract says. What else a route promises is in its service's tests.
 */

let shop: Shop;
let admin: string;
let user: TestUser;
let requests: ReturnType<typeof requestsOf>;

beforeAll(async () => {
  shop = await startShop();
  [admin, user] = await Promise.all([adminToken(shop), givenUser(shop)]);
  requests = requestsOf(shop, user, admin);
});
afterAll(async () => await shop?.stop());

const routes = restRoutes.map((route) => ({ name: `${route.method} ${route.path}`, route }));

async function request({
  method,
  path,
  action,
  spec,
}: RestRoute): Promise<{ answer: Answer; shows: object }> {
  const { at = {}, query = "", body, headers = {}, shows = {}, token } = (await requests[action]?.()) ?? {};
  const address = path.replace(/:(\w+)/g, (_, name) => encodeURIComponent(String(at[name])));
  const who = spec.permissions.includes("admin") && !spec.permissions.includes("user") ? admin : user.token;
  const isGuest = spec.permissions.includes("public");
  const answer = await send(shop, method, `${address}${query}`, body, {
    headers,
    token: token ?? (isGuest ? undefined : who),
  });
  return { answer, shows };
}

describe("a route that is asked for as it is meant to be", () => {
  it("is every one there is", () => {
    expect(Object.keys(requests).sort()).toEqual([...new Set(restRoutes.map(({ action }) => action))].sort());
  });

  it.each(routes)("$name", async ({ route }) => {
    const { answer, shows } = await request(route);
    expect(answer.body).toMatchObject(shows);
    expect(answer.status).toBe(route.spec.status ?? 200);
  });
});

describe("what is another's", () => {
  const own = routes.filter(
    ({ route }) => route.spec.permissions.includes("user") && route.pathParams.length > 0,
  );

  it.each(own)("is 404 at $name, and stays as it is", async ({ route }) => {
    const { at = {}, body } = (await requests[route.action]?.()) ?? {};
    const address = route.path.replace(/:(\w+)/g, (_, name) => String(at[name]));
    const answer = await send(shop, route.method, address, body, { token: (await givenUser(shop)).token });
    expect([answer.status, answer.body.code]).toEqual([404, "NOT_FOUND"]);
    const itsOwner = await send(shop, route.method, address, body, { token: user.token });
    expect(itsOwner.status).toBe(route.spec.status ?? 200);
  });
});
