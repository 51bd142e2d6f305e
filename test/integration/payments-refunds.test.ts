import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { adminToken, eventually, givenUser, send, type TestUser } from "../helpers/client.ts";
import type { FakeOrders } from "../helpers/fake-orders.ts";
import { startPayments, type UnreliableProvider } from "../helpers/payments.ts";
import type { Shop } from "../helpers/shop.ts";

let shop: Shop;
let provider: UnreliableProvider;
let user: TestUser;
let admin: string;
let orders: FakeOrders;

beforeAll(async () => {
  ({ shop, provider, orders } = await startPayments());
  user = await givenUser(shop);
  admin = await adminToken(shop);
});
afterAll(async () => await shop.stop());

/** A payment of 29.99. @returns its id */
async function givenPayment(method = "pm_card_visa"): Promise<string> {
  const order_id = newId();
  const { payment_id } = await shop.call("payments.charge", {
    key: `${order_id}:charge:1`,
    order_id,
    user_id: user.id,
    amount: 2999,
    currency: "EUR",
    payment_method: method,
  });
  return String(payment_id);
}

async function refund(paymentId: string, body: object, key?: string) {
  return await send(shop, "POST", `/api/payments/${paymentId}/refund`, body, {
    token: admin,
    headers: key === undefined ? {} : { "idempotency-key": key },
  });
}

async function get(paymentId: string) {
  return await send(shop, "GET", `/api/payments/${paymentId}`, undefined, { token: user.token });
}

/** What the provider gave back of a payment: how often, and minor units in all. */
async function givenBack(paymentId: string) {
  return await provider.db.one(
    `SELECT count(r.key)::int AS times, coalesce(sum(r.amount), 0)::int AS amount FROM payments.sandbox_refunds r
     JOIN payments.payments p ON p.provider_ref = r.charge_ref WHERE p.id = $1`,
    [paymentId],
  );
}

describe("amounts", () => {
  test("part, part, and then the rest", async () => {
    const id = await givenPayment();
    const first = await refund(id, { amount: 10, reason: "scratched" });
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({
      refund: { payment_id: id, amount: 10, currency: "EUR", reason: "scratched", status: "succeeded" },
      payment: { id, status: "partially_refunded", amount: 29.99, refunded_amount: 10 },
    });
    const second = await refund(id, { amount: 0.01, reason: "a cent" });
    expect(second.at("payment", "refunded_amount")).toBe(10.01);
    const rest = await refund(id, { reason: "lost" });
    expect(rest.body).toMatchObject({
      refund: { amount: 19.98 },
      payment: { status: "refunded", refunded_amount: 29.99 },
    });
    expect(await givenBack(id)).toEqual({ times: 3, amount: 2999 });
    const shown = await get(id);
    expect(shown.body).toMatchObject({ refunds: [{ amount: 10 }, { amount: 0.01 }, { amount: 19.98 }] });
  });

  test("more than is left is refused with what is left", async () => {
    const id = await givenPayment();
    await refund(id, { amount: 20, reason: "scratched" });
    const over = await refund(id, { amount: 10, reason: "scratched" });
    expect(over.status).toBe(409);
    expect(over.body).toMatchObject({ code: "REFUND_TOO_LARGE", details: { refundable: 9.99 } });
    expect(await givenBack(id)).toEqual({ times: 1, amount: 2000 });
  });

  test.each([
    [{ amount: 0.001, reason: "x" }],
    [{ amount: 0, reason: "x" }],
    [{ amount: -1, reason: "x" }],
    [{ amount: "5", reason: "x" }],
    [{ amount: 5, reason: " " }],
    [{ amount: 5 }],
    [{ amount: 5, reason: "x", currency: "EUR" }],
  ])("%j is refused", async (body) => {
    const id = await givenPayment();
    expect((await refund(id, body)).status).toBe(422);
    expect(await givenBack(id)).toEqual({ times: 0, amount: 0 });
  });

  test("20 refunds of 10.00 at once: two fit", async () => {
    const id = await givenPayment();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => refund(id, { amount: 10, reason: "scratched" })),
    );
    const statuses = answers.map((answer) => answer.status).sort();
    expect(statuses).toEqual([200, 200, ...Array.from({ length: 18 }, () => 409)]);
    expect(await givenBack(id)).toEqual({ times: 2, amount: 2000 });
    expect((await get(id)).at("payment", "refunded_amount")).toBe(20);
  });

  test("the rest 10 times at once goes back once", async () => {
    const id = await givenPayment();
    const answers = await Promise.all(Array.from({ length: 10 }, () => refund(id, { reason: "lost" })));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 409)).toHaveLength(9);
    expect(await givenBack(id)).toEqual({ times: 1, amount: 2999 });
  });
});

describe("refusals", () => {
  test("what was not captured, what is refunded, and what belongs to a cancelled order", async () => {
    const declined = await givenPayment("pm_card_chargeDeclined");
    expect((await refund(declined, { reason: "x" })).body).toMatchObject({
      code: "NOT_REFUNDABLE",
      details: { status: "declined" },
    });
    const refunded = await givenPayment();
    await refund(refunded, { reason: "x" });
    expect((await refund(refunded, { reason: "x" })).body).toMatchObject({
      code: "NOT_REFUNDABLE",
      details: { status: "refunded" },
    });
    const cancelled = await givenPayment();
    provider.onNextRefund(async () => ({ kind: "unavailable" }));
    const order_id = String((await get(cancelled)).at("payment", "order_id"));
    await expect(shop.call("payments.cancelOrder", { order_id, reason: "x" })).rejects.toMatchObject({
      type: "PAYMENT_PROVIDER_UNAVAILABLE",
    });
    expect((await refund(cancelled, { amount: 1, reason: "x" })).body).toMatchObject({
      code: "NOT_REFUNDABLE",
      details: { status: "cancelled" },
    });
  });

  test("no such payment, a customer, nobody", async () => {
    expect((await refund(newId(), { reason: "x" })).status).toBe(404);
    const id = await givenPayment();
    const path = `/api/payments/${id}/refund`;
    expect((await send(shop, "POST", path, { reason: "x" }, { token: user.token })).status).toBe(403);
    expect((await send(shop, "POST", path, { reason: "x" })).status).toBe(401);
    expect(await givenBack(id)).toEqual({ times: 0, amount: 0 });
  });

  test("the provider refuses: nothing is set aside, and another amount may be asked for", async () => {
    const id = await givenPayment();
    provider.onNextRefund(async () => ({ kind: "refused", reason: "disputed" }));
    expect(await refund(id, { reason: "x" })).toMatchObject({
      status: 409,
      body: { code: "REFUND_REFUSED" },
    });
    expect((await refund(id, { reason: "x" })).at("payment", "status")).toBe("refunded");
  });
});

describe("a provider that can't be reached", () => {
  test("503 with nothing given back; the same key tries again", async () => {
    const id = await givenPayment();
    provider.onNextRefund(async () => ({ kind: "unavailable" }));
    const away = await refund(id, { amount: 5, reason: "x" }, "key-away");
    expect(away).toMatchObject({ status: 503, body: { code: "PAYMENT_PROVIDER_UNAVAILABLE" } });
    expect(await givenBack(id)).toEqual({ times: 0, amount: 0 });
    const again = await refund(id, { amount: 5, reason: "x" }, "key-away");
    expect(again.body).toMatchObject({ refund: { status: "succeeded" }, payment: { refunded_amount: 5 } });
    expect(again.headers.get("idempotent-replayed")).toBeNull();
    expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
  });

  test.each([
    ["gave back", true],
    ["did nothing", false],
  ])("504 if it %s and did not answer; the same key ends it, once", async (_what, gaveBack) => {
    const id = await givenPayment();
    const key = newId();
    provider.failNextRefundLookup();
    provider.onNextRefund(async (request, signal) => {
      if (gaveBack) await provider.real.refund(request, signal);
      throw new Error("no answer");
    });
    const unknown = await refund(id, { amount: 5, reason: "x" }, key);
    expect(unknown).toMatchObject({ status: 504, body: { code: "PAYMENT_OUTCOME_UNKNOWN" } });
    expect((await get(id)).at("refunds", 0, "status")).toBe("pending");
    // What is promised can't be promised again.
    expect((await refund(id, { amount: 29, reason: "x" })).status).toBe(409);

    const again = await refund(id, { amount: 5, reason: "x" }, key);
    expect(again.body).toMatchObject({ refund: { status: "succeeded" }, payment: { refunded_amount: 5 } });
    expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
  });

  test("a refund that nobody asks about any more is ended by the sweep", async () => {
    const id = await givenPayment();
    provider.onNextRefund(async () => {
      throw new Error("no answer");
    });
    expect((await refund(id, { amount: 5, reason: "x" })).status).toBe(504);
    await provider.db.rows(
      "UPDATE payments.refunds SET check_at = now() WHERE payment_id = $1 RETURNING id",
      [id],
    );
    await eventually(async () => (await get(id)).at("payment", "refunded_amount") === 5);
    expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
  });

  test("unavailable after an unanswered request is not taken for a no", async () => {
    const id = await givenPayment();
    const key = newId();
    provider.onNextRefund(async () => {
      throw new Error("no answer");
    });
    expect((await refund(id, { amount: 5, reason: "x" }, key)).status).toBe(504);
    provider.onNextRefund(async () => ({ kind: "unavailable" }));
    expect((await refund(id, { amount: 5, reason: "x" }, key)).status).toBe(504);
    expect((await get(id)).at("refunds", 0, "status")).toBe("pending");
  });
});

describe("idempotency", () => {
  test("the same key and body: one refund, the first answer again", async () => {
    const id = await givenPayment();
    const first = await refund(id, { amount: 5, reason: "x" }, "key-1");
    const second = await refund(id, { reason: "x", amount: 5 }, "key-1");
    expect(second).toMatchObject({ status: 200, body: first.body });
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
  });

  test("the same key with another amount, or for another payment", async () => {
    const id = await givenPayment();
    await refund(id, { amount: 5, reason: "x" }, "key-2");
    expect((await refund(id, { amount: 6, reason: "x" }, "key-2")).body).toMatchObject({
      code: "IDEMPOTENCY_MISMATCH",
    });
    const other = await givenPayment();
    expect((await refund(other, { amount: 5, reason: "x" }, "key-2")).status).toBe(422);
    expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
    expect(await givenBack(other)).toEqual({ times: 0, amount: 0 });
  });

  test("a refusal is given again, word for word", async () => {
    const id = await givenPayment();
    const first = await refund(id, { amount: 30, reason: "x" }, "key-3");
    const second = await refund(id, { amount: 30, reason: "x" }, "key-3");
    expect(first).toMatchObject({
      status: 409,
      body: { code: "REFUND_TOO_LARGE", details: { refundable: 29.99 } },
    });
    expect({ ...second.body, request_id: "" }).toEqual({ ...first.body, request_id: "" });
    expect(second.headers.get("idempotent-replayed")).toBe("true");
  });

  test("20 times at once: one refund; the others are told that it is under way, or its answer", async () => {
    const id = await givenPayment();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => refund(id, { amount: 1, reason: "x" }, "key-4")),
    );
    for (const answer of answers) {
      const expected =
        answer.status === 200 ? { refund: { amount: 1 } } : { code: "IDEMPOTENCY_IN_PROGRESS" };
      expect(answer.body).toMatchObject(expected);
    }
    expect(answers.some((answer) => answer.status === 200)).toBe(true);
    expect(await givenBack(id)).toEqual({ times: 1, amount: 100 });
  });
});

describe("payment.refunded", () => {
  test("is told to orders at once and delivered durably, as one event; a cancellation publishes it too", async () => {
    const id = await givenPayment();
    const answer = await refund(id, { amount: 5, reason: "scratched" });
    const refundId = answer.at("refund", "id");
    const orderId = String(answer.at("payment", "order_id"));
    const toldOf = (wanted: unknown) => orders.told.filter((event) => event.data.refund_id === wanted);
    expect(toldOf(refundId)[0]?.data).toEqual({
      refund_id: refundId,
      payment_id: id,
      order_id: orderId,
      user_id: user.id,
      amount: 500,
      refunded_total: 500,
      captured: 2999,
      currency: "EUR",
      reason: "scratched",
    });
    const both = await eventually(async () => toldOf(refundId).length === 2 && toldOf(refundId));
    expect(both[0]?.event_id).toBe(both[1]?.event_id);

    await shop.call("payments.cancelOrder", { order_id: orderId, reason: "by_admin" });
    const cancelled = await eventually(async () =>
      orders.told.find((event) => event.data.refunded_total === 2999 && event.data.order_id === orderId),
    );
    expect(cancelled.data).toMatchObject({ amount: 2499, reason: "by_admin" });
    expect((await refund(id, { reason: "x" })).status).toBe(409);
  });

  test("is not published for a refund that failed", async () => {
    const id = await givenPayment();
    provider.onNextRefund(async () => ({ kind: "refused", reason: "disputed" }));
    await refund(id, { amount: 5, reason: "x" });
    const answer = await refund(id, { amount: 7, reason: "x" });
    await eventually(async () =>
      orders.told.some((event) => event.data.refund_id === answer.at("refund", "id")),
    );
    expect(orders.told.filter((event) => event.data.payment_id === id && event.data.amount === 500)).toEqual(
      [],
    );
  });
});
