import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Permission } from "../../lib/contract.ts";
import { contracts } from "../../services/contracts.ts";
import { restRoutes } from "../../services/gateway/routes.ts";
import { send } from "../helpers/client.ts";
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
    GET /api/admin/status A
    GET /api/admin/verify A
    GET /api/admin/sagas A
    GET /api/admin/events A
    GET /api/admin/events/:id A
    POST /api/admin/events/redrive A
    POST /api/admin/sagas/:order_id/redrive A
    GET /api/admin/outbox A
    POST /api/admin/outbox/:id/resend A
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
        token: people.add().token,
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
