import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { Charges, charging } from "../helpers/charges.ts";

let charges: Charges;
beforeAll(async () => {
  charges = await Charges.start();
});
afterAll(async () => await charges?.shop.stop());

describe("outcomes", () => {
  test.each([
    ["pm_card_visa", "captured", null, "captured"],
    ["pm_card_mastercard", "captured", null, "captured"],
    ["pm_card_amex", "captured", null, "captured"],
    ["pm_card_chargeDeclined", "declined", "card_declined", "declined"],
    ["pm_card_chargeDeclinedInsufficientFunds", "declined", "insufficient_funds", "declined"],
    ["pm_sandbox_unavailable", "unavailable", "unavailable", "failed"],
    ["pm_nonsense", "invalid_method", "invalid_method", "failed"],
  ])("%s is %s, and is that again under the same key", async (method, outcome, reason, status) => {
    const request = charging(method);
    const first = await charges.charge(request);
    expect(first).toMatchObject({ outcome, reason, provider: "sandbox" });
    const sent = charges.provider.sent.length;
    expect(await charges.charge(request)).toEqual(first);
    expect(charges.provider.sent.length).toBe(sent);

    const captured = outcome === "captured" ? 2999 : 0;
    expect(await charges.payments(request.order_id)).toEqual([{ status, failure_code: reason, refunded: 0 }]);
    expect(await charges.books(request.order_id)).toEqual({
      charges: captured === 0 ? 0 : 1,
      captured,
      refunded: 0,
    });
  });
});

describe("no answer within PAYMENT_TIMEOUT", () => {
  let hurried: Charges;
  beforeAll(async () => {
    hurried = await Charges.start({ PAYMENT_TIMEOUT: "300" });
  });
  afterAll(async () => await hurried?.shop.stop());

  test("after a capture: it is found, and is that again under the same key", async () => {
    const request = charging("pm_sandbox_timeout_after_capture");
    const first = await hurried.charge(request);
    expect(first).toMatchObject({ outcome: "captured", reason: null, provider: "sandbox" });
    expect(await hurried.charge(request)).toEqual(first);
    expect(await hurried.payments(request.order_id)).toEqual([
      { status: "captured", failure_code: null, refunded: 0 },
    ]);
    expect(await hurried.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("of a provider that doesn't heed that nobody waits: it is given up", async () => {
    const request = charging();
    hurried.provider.onCharge(request.order_id, async () => {
      hurried.provider.onCharge(request.order_id, async () => ({ kind: "unavailable" }));
      return await new Promise<never>(() => undefined);
    });
    expect(await hurried.charge(request)).toMatchObject({ outcome: "unavailable" });
    expect(await hurried.books(request.order_id)).toEqual({ charges: 0, captured: 0, refunded: 0 });
  });
});

describe("never twice", () => {
  test("the same key 50 times at once is one request, one capture, one answer", async () => {
    const request = charging();
    const before = charges.provider.sent.length;
    const answers = await Promise.all(Array.from({ length: 50 }, () => charges.charge(request)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ outcome: "captured" });
    expect(charges.provider.sent.length).toBe(before + 1);
    expect(await charges.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("ten attempts of one order at once are one capture, and each is answered with it", async () => {
    const orderId = newId();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => charges.charge(charging("pm_card_visa", orderId, n + 1))),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ outcome: "captured" });
    expect(await charges.books(orderId)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
    expect(await charges.payments(orderId)).toHaveLength(1);
  });

  test("an attempt after a declined one may capture; one after a capture is answered with it", async () => {
    const orderId = newId();
    const declined = await charges.charge(charging("pm_card_chargeDeclined", orderId, 1));
    const captured = await charges.charge(charging("pm_card_visa", orderId, 2));
    const again = await charges.charge(charging("pm_card_amex", orderId, 3));
    expect([declined.outcome, captured.outcome]).toEqual(["declined", "captured"]);
    expect(again).toEqual(captured);
    expect(await charges.books(orderId)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("the database itself refuses a second live attempt, and more refunded than captured", async () => {
    const request = charging();
    await charges.charge(request);
    const insert = `INSERT INTO payments.payments (id, key, order_id, user_id, amount, currency, provider, check_at)
                    VALUES ($1, $2, $3, $1, 2999, 'EUR', 'sandbox', now()) RETURNING id`;
    await expect(
      charges.provider.db.rows(insert, [newId(), "another key", request.order_id]),
    ).rejects.toMatchObject({
      constraint: "payments_one_capture",
    });
    const overdraw = `UPDATE payments.payments SET refunded = 2998, refunding = 2, status = 'partially_refunded'
                      WHERE order_id = $1 RETURNING id`;
    await expect(charges.provider.db.rows(overdraw, [request.order_id])).rejects.toMatchObject({
      constraint: "payments_never_gives_back_more",
    });
  });

  test("a key asked for with another amount is refused without a charge", async () => {
    const request = charging();
    await charges.charge(request);
    await expect(charges.charge({ ...request, amount: 1 })).rejects.toThrow("another order or amount");
    expect(await charges.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });
});
