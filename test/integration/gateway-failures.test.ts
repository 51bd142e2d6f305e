import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Errors } from "moleculer";
import { NotFound, Unavailable } from "../../lib/errors.ts";
import { analyticsContract } from "../../services/analytics/analytics.contract.ts";
import { cartContract } from "../../services/cart/cart.contract.ts";
import { notificationsContract } from "../../services/notifications/notifications.contract.ts";
import { productsContract } from "../../services/products/products.contract.ts";
import { send } from "../helpers/client.ts";
import { FakePeople, fakeService } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const SECRET = "postgres://molecart:hunter2@10.0.0.7/orders";
const people = new FakePeople();
let shop: Shop;
/** What `GET /api/products/1` ends with. */
let failure: () => unknown = () => new Error("not set");

beforeAll(async () => {
  shop = await startShop({
    replace: {
      ...people.services,
      products: fakeService(productsContract, {
        get: async () => {
          throw failure();
        },
      }),
      cart: fakeService(cartContract, {
        addItem: async (ctx) => {
          ctx.meta.$responseHeaders = { "X-Cart-Token": "given-with-the-failure" };
          throw new NotFound({ what: "product", id: 1 });
        },
      }),
      notifications: fakeService(notificationsContract, {}),
      analytics: fakeService(analyticsContract, {}),
    },
  });
});
afterAll(async () => await shop.stop());

const get = () => send(shop, "GET", "/api/products/1");

describe("an answer to a failure of ours", () => {
  const CASES: [string, () => unknown, number, string][] = [
    ["a plain error", () => new Error(SECRET), 500, "INTERNAL_ERROR"],
    [
      "an error with an HTTP status",
      () => Object.assign(new Error(SECRET), { code: 404 }),
      500,
      "INTERNAL_ERROR",
    ],
    [
      "a Moleculer error",
      () => new Errors.MoleculerError(SECRET, 418, "TEAPOT", { SECRET }),
      500,
      "INTERNAL_ERROR",
    ],
    [
      "a Moleculer client error",
      () => new Errors.MoleculerClientError(SECRET, 400, "X", { SECRET }),
      500,
      "INTERNAL_ERROR",
    ],
    [
      "Moleculer's validation",
      () => new Errors.ValidationError(SECRET, "T", { SECRET }),
      500,
      "INTERNAL_ERROR",
    ],
    [
      "a database's error",
      () => Object.assign(new Error(SECRET), { parent: { code: "42P01", table: SECRET } }),
      500,
      "INTERNAL_ERROR",
    ],
    ["a thrown string", () => SECRET, 500, "INTERNAL_ERROR"],
    ["a thrown null", () => null, 500, "INTERNAL_ERROR"],
    ["a timeout", () => new Errors.RequestTimeoutError({ action: SECRET, nodeID: SECRET }), 504, "TIMEOUT"],
    [
      "a lost node",
      () => new Errors.RequestRejectedError({ action: SECRET, nodeID: SECRET }),
      504,
      "TIMEOUT",
    ],
    [
      "a full queue",
      () => new Errors.QueueIsFullError({ action: SECRET, nodeID: SECRET, size: 1, limit: 1 }),
      503,
      "SERVICE_UNAVAILABLE",
    ],
    [
      "a store that is away",
      () => Object.assign(new Error(SECRET), { code: "ECONNREFUSED" }),
      503,
      "SERVICE_UNAVAILABLE",
    ],
    ["our own unavailability", () => new Unavailable({ retry_after: 7 }), 503, "SERVICE_UNAVAILABLE"],
  ];

  it.each(CASES)("says nothing of the inside: %s", async (_name, error, status, code) => {
    failure = error;
    const answer = await get();
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code });
    const everything = JSON.stringify([answer.body, [...answer.headers]]);
    for (const secret of ["hunter2", "10.0.0.7", "TEAPOT", "42P01", "    at ", "/work", ".ts:"]) {
      expect(everything).not.toContain(secret);
    }
    expect(Object.keys(answer.body).sort()).toEqual(["code", "error", "request_id"]);
    if (status === 503) expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  });

  it("says when to come back", async () => {
    failure = () => new Unavailable({ retry_after: 7 });
    expect((await get()).headers.get("retry-after")).toBe("7");
  });
});

describe("a failure that was meant", () => {
  it("is shown as it was meant, also by another node", async () => {
    failure = () =>
      Object.assign(new Error("There is no product 1."), {
        name: "NotFound",
        code: 404,
        type: "NOT_FOUND",
        data: { what: "product", id: 1 },
      });
    const answer = await get();
    expect(answer.status).toBe(404);
    expect(answer.body).toMatchObject({
      error: "There is no product 1.",
      code: "NOT_FOUND",
      details: { what: "product", id: 1 },
    });
  });

  it("keeps the headers that the action gave it", async () => {
    const answer = await send(shop, "POST", "/api/cart/items", { product_id: 1 });
    expect([answer.status, answer.headers.get("x-cart-token")]).toEqual([404, "given-with-the-failure"]);
  });
});

describe("a service that nobody offers", () => {
  it("is 503 with Retry-After, as long as it is gone", async () => {
    const service = shop.broker.getLocalService("analytics");
    await shop.broker.destroyService(service);
    const answer = await send(shop, "POST", "/api/analytics/events", { type: "page_view" });
    expect([answer.status, answer.body.code]).toEqual([503, "SERVICE_UNAVAILABLE"]);
    expect(answer.headers.get("retry-after")).toBe("1");
  });

  it("keeps the gateway itself from telling an admin from others", async () => {
    const { token } = people.add("admin");
    await shop.broker.destroyService(shop.broker.getLocalService("auth"));
    const answer = await send(shop, "GET", "/api/admin/status", undefined, { token });
    expect([answer.status, answer.body.code]).toEqual([503, "SERVICE_UNAVAILABLE"]);
  });
});
