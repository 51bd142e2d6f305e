import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { adminToken, givenUser, send, type TestUser } from "../helpers/client.ts";
import type { FakeOrders } from "../helpers/fake-orders.ts";
import { startPayments, type UnreliableProvider } from "../helpers/payments.ts";
import type { Shop } from "../helpers/shop.ts";

let shop: Shop;
let provider: UnreliableProvider;
let user: TestUser;
let other: TestUser;
let admin: string;
let orders: FakeOrders;

beforeAll(async () => {
  ({ shop, provider, orders } = await startPayments());
  [user, other] = await Promise.all([givenUser(shop), givenUser(shop)]);
  admin = await adminToken(shop);
});
afterAll(async () => await shop.stop());

async function pay(order_id: string, payment_method = "pm_card_visa", key?: string, token = user.token) {
  const headers: Record<string, string> = key === undefined ? {} : { "idempotency-key": key };
  return await send(shop, "POST", "/api/payments/process", { order_id, payment_method }, { token, headers });
}

async function read(path: string, token?: string) {
  return await send(shop, "GET", path, undefined, token === undefined ? {} : { token });
}

/** How often the provider was asked to charge an order. */
const timesSent = (orderId: string) => provider.sent.filter((request) => request.orderId === orderId).length;

describe("POST /payments/process", () => {
  test("answers the payment", async () => {
    const orderId = orders.add(user.id);
    const answer = await pay(orderId);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      payment: {
        id: expect.any(String),
        order_id: orderId,
        status: "captured",
        amount: 29.99,
        refunded_amount: 0,
        currency: "EUR",
        provider: "sandbox",
        failure_code: null,
        created_at: expect.any(String),
        updated_at: expect.any(String),
      },
    });
  });

  test.each([
    ["pm_card_chargeDeclined", 402, "PAYMENT_DECLINED", "The card was declined."],
    ["pm_card_chargeDeclinedInsufficientFunds", 402, "PAYMENT_DECLINED", "The card has insufficient funds."],
    ["pm_nonsense", 422, "INVALID_PAYMENT_METHOD", "This payment method is not known."],
    [
      "pm_sandbox_unavailable",
      503,
      "PAYMENT_PROVIDER_UNAVAILABLE",
      "The payment provider can't be reached. Nothing was charged.",
    ],
  ])("%s is %i", async (method, status, code, error) => {
    const answer = await pay(orders.add(user.id), method);
    expect(answer).toMatchObject({ status, body: { code, error } });
  });

  test("refuses nobody, another's order, no order, and what isn't a request", async () => {
    const orderId = orders.add(user.id);
    const body = { order_id: orderId, payment_method: "pm_card_visa" };
    expect((await send(shop, "POST", "/api/payments/process", body)).status).toBe(401);
    expect((await pay(orderId, "pm_card_visa", undefined, other.token)).status).toBe(404);
    expect((await pay(newId())).status).toBe(404);
    expect((await pay("1")).status).toBe(422);
    expect((await pay(orderId, "4242 4242 4242 4242")).status).toBe(422);
    expect(timesSent(orderId)).toBe(0);
  });
});

describe("Idempotency-Key", () => {
  test("the same key and body give the first answer again", async () => {
    const orderId = orders.add(user.id);
    const key = newId();
    const first = await pay(orderId, "pm_card_visa", key);
    const second = await pay(orderId, "pm_card_visa", key);
    expect(first.status).toBe(200);
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    expect(second.status).toBe(200);
    expect(JSON.stringify(second.body)).toBe(JSON.stringify(first.body));
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    expect(timesSent(orderId)).toBe(1);
  });

  test.each([
    ["pm_card_chargeDeclined", 402],
    ["pm_nonsense", 422],
  ])("the refusal of %s is given again without asking", async (method, status) => {
    const orderId = orders.add(user.id);
    const key = newId();
    const first = await pay(orderId, method, key);
    const second = await pay(orderId, method, key);
    expect([first.status, second.status]).toEqual([status, status]);
    expect({ ...second.body, request_id: "" }).toEqual({ ...first.body, request_id: "" });
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    expect(timesSent(orderId)).toBe(1);
    // Another key is another try.
    expect((await pay(orderId, "pm_card_visa", newId())).status).toBe(200);
  });

  test("an order that can't be paid is refused, and that is given again", async () => {
    const orderId = orders.add(user.id);
    await pay(orderId);
    const key = newId();
    for (const replayed of [null, "true"]) {
      const answer = await pay(orderId, "pm_card_visa", key);
      expect(answer).toMatchObject({ status: 409, body: { code: "ORDER_NOT_PAYABLE" } });
      expect(answer.headers.get("idempotent-replayed")).toBe(replayed);
    }
  });

  test("another body is a mismatch, in any order of its properties the same", async () => {
    const orderId = orders.add(user.id);
    const key = newId();
    await pay(orderId, "pm_card_chargeDeclined", key);
    const mismatch = await pay(orderId, "pm_card_visa", key);
    expect(mismatch).toMatchObject({ status: 422, body: { code: "IDEMPOTENCY_MISMATCH" } });
    const turned = `{"payment_method":"pm_card_chargeDeclined","order_id":"${orderId}"}`;
    const same = await send(shop, "POST", "/api/payments/process", turned, {
      token: user.token,
      headers: { "idempotency-key": key },
    });
    expect(same.status).toBe(402);
    expect(timesSent(orderId)).toBe(1);
  });

  test("while the first is under way the key is taken", async () => {
    const orderId = orders.add(user.id);
    const key = newId();
    let goOn = () => {};
    const underWay = new Promise<void>((reached) => {
      orders.beforePay = async () => {
        orders.beforePay = async () => {};
        reached();
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
      };
    });
    const first = pay(orderId, "pm_card_visa", key);
    await underWay;
    const second = await pay(orderId, "pm_card_visa", key);
    expect(second).toMatchObject({ status: 409, body: { code: "IDEMPOTENCY_IN_PROGRESS" } });
    goOn();
    expect((await first).status).toBe(200);
    expect(timesSent(orderId)).toBe(1);
  });

  test("keys of different users never meet", async () => {
    const key = newId();
    const mine = await pay(orders.add(user.id), "pm_card_visa", key);
    const theirs = await pay(orders.add(other.id), "pm_card_visa", key, other.token);
    expect([mine.status, theirs.status]).toEqual([200, 200]);
    expect(theirs.headers.get("idempotent-replayed")).toBeNull();
    expect(theirs.at("payment", "id")).not.toBe(mine.at("payment", "id"));
  });

  test("a provider that was away is asked again under the same key", async () => {
    const orderId = orders.add(user.id);
    const key = newId();
    provider.onCharge(orderId, async () => ({ kind: "unavailable" }));
    expect((await pay(orderId, "pm_card_visa", key)).status).toBe(503);
    provider.onCharge(orderId, (request, signal) => provider.real.charge(request, signal));
    const again = await pay(orderId, "pm_card_visa", key);
    expect(again.status).toBe(200);
    expect(again.headers.get("idempotent-replayed")).toBeNull();
  });

  test("an answer that was lost after the capture is found under the same key, and only there", async () => {
    const orderId = orders.add(user.id);
    const key = newId();
    orders.afterPay = async () => {
      orders.afterPay = async () => {};
      throw new Error("lost");
    };
    expect((await pay(orderId, "pm_card_visa", key)).status).toBe(500);
    const again = await pay(orderId, "pm_card_visa", key);
    expect(again).toMatchObject({
      status: 200,
      body: { payment: { order_id: orderId, status: "captured" } },
    });
    expect((await pay(orderId, "pm_card_visa", newId())).status).toBe(409);
    expect(timesSent(orderId)).toBe(1);
  });
});

describe("reading", () => {
  test("a payment: its owner and an admin; to anybody else there is none", async () => {
    const orderId = orders.add(user.id);
    const id = String((await pay(orderId)).at("payment", "id"));
    const own = await read(`/api/payments/${id}`, user.token);
    expect(own).toMatchObject({ status: 200, body: { payment: { id, order_id: orderId }, refunds: [] } });
    expect((await read(`/api/payments/${id}`, admin)).body).toEqual(own.body);
    const foreign = await read(`/api/payments/${id}`, other.token);
    const unknown = await read(`/api/payments/${newId()}`, user.token);
    expect(foreign).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    expect(unknown).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    expect((await read(`/api/payments/${id}`)).status).toBe(401);
    expect((await read("/api/payments/1", user.token)).status).toBe(422);
  });

  test("the payments of an order: each attempt, oldest first; to anybody else there is no such order", async () => {
    const orderId = orders.add(user.id);
    const path = `/api/orders/${orderId}/payments`;
    expect((await read(path, user.token)).body).toEqual({ payments: [] });
    await pay(orderId, "pm_card_chargeDeclined");
    await pay(orderId, "pm_card_visa");
    const listed = await read(path, user.token);
    expect(listed.body).toMatchObject({
      payments: [{ status: "declined", failure_code: "card_declined" }, { status: "captured" }],
    });
    expect((await read(path, admin)).body).toEqual(listed.body);
    expect((await read(path, other.token)).status).toBe(404);
    expect((await read(`/api/orders/${newId()}/payments`, user.token)).status).toBe(404);
    expect((await read(path)).status).toBe(401);
  });

  test("the payment method is nowhere in the database", async () => {
    const orderId = orders.add(user.id);
    await pay(orderId, "pm_card_amex", newId());
    const rows = await provider.db.rows(
      `SELECT to_jsonb(p) AS row FROM payments.payments p UNION ALL SELECT to_jsonb(k) FROM payments.idempotency_keys k
       UNION ALL SELECT to_jsonb(c) FROM payments.sandbox_charges c`,
    );
    expect(JSON.stringify(rows)).toContain(orderId);
    expect(JSON.stringify(rows)).not.toContain("pm_card_amex");
  });
});
