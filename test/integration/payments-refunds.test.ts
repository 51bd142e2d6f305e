import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { adminToken, eventually, givenUser, send, type TestUser } from "../helpers/client.ts";
import type { FakeOrders } from "../helpers/fake-orders.ts";
import { startPayments, type UnreliableProvider } from "../helpers/payments.ts";
import { refundsOf } from "../helpers/refunds.ts";
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

const { givenPayment, refund, get, givenBack } = refundsOf(() => ({ shop, provider, user, admin }));

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
