import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { Charges, charging } from "../helpers/charges.ts";
import { eventually } from "../helpers/client.ts";

let charges: Charges;
beforeAll(async () => {
  charges = await Charges.start();
});
afterAll(async () => await charges?.shop.stop());

describe("cancelOrder", () => {
  test("gives back all that was captured, and answers the same when asked again", async () => {
    const request = charging();
    await charges.charge(request);
    const first = await charges.cancel(request.order_id);
    expect(first).toMatchObject({ refunded: 2999, payment: { status: "refunded", refunded_amount: 29.99 } });
    expect(await charges.cancel(request.order_id)).toEqual(first);
    expect(await charges.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 2999 });
  });

  test("without a capture gives nothing back", async () => {
    const request = charging("pm_card_chargeDeclined");
    await charges.charge(request);
    for (const orderId of [request.order_id, newId()]) {
      expect(await charges.cancel(orderId)).toEqual({
        refunded: 0,
        payment: null,
      });
    }
  });

  test("refuses every charge that comes later", async () => {
    const request = charging();
    await charges.cancel(request.order_id);
    const sent = charges.provider.sent.length;
    expect(await charges.charge(request)).toMatchObject({
      outcome: "voided",
      payment_id: null,
    });
    expect(charges.provider.sent.length).toBe(sent);
    expect(await charges.payments(request.order_id)).toEqual([]);
  });

  test("against charges at the same time leaves nothing captured", async () => {
    const requests = Array.from({ length: 40 }, () => charging());
    // Of every fourth the answer is lost.
    for (const [n, { order_id }] of requests.entries()) if (n % 4 === 3) charges.loseAnswer(order_id);
    await Promise.all(
      requests.map(async (request) => {
        const [, cancelled] = await Promise.all([charges.charge(request), charges.cancel(request.order_id)]);
        const { order_id } = request;
        const { orders } = await charges.shop.call("payments.audit", { order_ids: [order_id] });
        expect(orders).toMatchObject([
          { processing: 0, captured: cancelled.refunded, refunded: cancelled.refunded },
        ]);
        const books = await charges.books(order_id);
        expect(books).toMatchObject({ captured: cancelled.refunded, refunded: cancelled.refunded });
        expect(await charges.charge(request)).toMatchObject({ outcome: "voided" });
      }),
    );
  });

  test.each([
    ["captured", "after", { charges: 1, captured: 2999, refunded: 2999 }, "refunded"],
    ["never sent", "before", { charges: 0, captured: 0, refunded: 0 }, "voided"],
  ] as const)("of an attempt that a dead node had %s", async (_what, moment, books, status) => {
    const request = charging();
    await charges.chargeAndDie(request, moment);
    await charges.sentLongAgo(request.order_id);
    const answer = await charges.cancel(request.order_id);
    expect(answer).toMatchObject({ refunded: books.refunded, payment: { status } });
    expect(await charges.books(request.order_id)).toEqual(books);
  });

  test("that died halfway is ended by the sweep", async () => {
    const request = charging();
    await charges.charge(request);
    charges.provider.onNextRefund(async () => {
      throw new Error("no answer");
    });
    await expect(charges.cancel(request.order_id)).rejects.toMatchObject({
      type: "PAYMENT_OUTCOME_UNKNOWN",
    });
    await charges.checkIsDue(request.order_id);
    await eventually(async () => (await charges.payments(request.order_id))[0]?.status === "refunded");
    expect(await charges.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 2999 });
  });

  test("gives back the rest of what was refunded in part, and a partial refund that is still open", async () => {
    const request = charging();
    await charges.charge(request);
    const [payment] = await charges.provider.db.rows<{ id: string }>(
      "SELECT id FROM payments.payments WHERE key = $1",
      [request.key],
    );
    await charges.provider.db.rows(
      "UPDATE payments.payments SET refunding = 1000 WHERE id = $1 RETURNING id",
      [payment?.id],
    );
    await charges.provider.db.rows(
      `INSERT INTO payments.refunds (id, payment_id, key, amount, reason, check_at)
       VALUES ($1, $2, $3, 1000, 'damaged', now() + interval '1 hour') RETURNING id`,
      [newId(), payment?.id, newId()],
    );
    const answer = await charges.cancel(request.order_id);
    expect(answer).toMatchObject({ refunded: 2999, payment: { status: "refunded" } });
    expect(await charges.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 2999 });
  });
});
