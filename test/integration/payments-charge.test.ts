import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { signSandboxWebhook } from "../../services/payments/providers/sandbox-webhook.ts";
import { eventually, send } from "../helpers/client.ts";
import { type UnreliableProvider, unreliablePayments } from "../helpers/payments.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const ENV = { PAYMENT_TIMEOUT: "1500" };

let shop: Shop;
let provider: UnreliableProvider;

beforeAll(async () => {
  const unreliable = unreliablePayments();
  shop = await startShop({ env: ENV, replace: { payments: unreliable.payments } });
  provider = unreliable.provider();
});
afterAll(async () => await shop.stop());

function charging(method = "pm_card_visa", order_id = newId(), attempt = 1) {
  return {
    key: `${order_id}:charge:${attempt}`,
    order_id,
    user_id: newId(),
    amount: 2999,
    currency: "EUR",
    payment_method: method,
  };
}

/** What the provider keeps of an order, in minor units, and in how many charges. */
async function booksOf(orderId: string) {
  return await provider.db.one(
    `SELECT count(c.key)::int AS charges, coalesce(sum(c.amount), 0)::int AS captured,
            coalesce((SELECT sum(r.amount) FROM payments.sandbox_refunds r
                      JOIN payments.sandbox_charges x ON x.ref = r.charge_ref WHERE x.order_id = $1), 0)::int AS refunded
     FROM payments.sandbox_charges c WHERE c.order_id = $1 AND c.declined IS NULL`,
    [orderId],
  );
}

async function paymentsOf(orderId: string) {
  return await provider.db.rows<{ status: string; failure_code: string | null; refunded: number }>(
    "SELECT status, failure_code, refunded FROM payments.payments WHERE order_id = $1 ORDER BY id",
    [orderId],
  );
}

/** As if the order's charge had been sent an hour ago: the sweep looks at it at once. */
async function checkIsDue(orderId: string) {
  await provider.db.rows(
    `UPDATE payments.payments SET sent_at = now() - interval '1 hour', check_at = now()
     WHERE order_id = $1 RETURNING id`,
    [orderId],
  );
}

/** A second node, on the same database, that dies around the capture: nothing is written after it. */
async function chargeAndDie(request: ReturnType<typeof charging>, moment: "before" | "after") {
  const unreliable = unreliablePayments();
  const node = await startShop({
    env: ENV,
    databaseUrl: shop.databaseUrl,
    replace: { payments: unreliable.payments },
  });
  const dying = unreliable.provider();
  dying.onCharge(request.order_id, async (asked, signal) => {
    if (moment === "after") await dying.real.charge(asked, signal);
    await dying.db.sequelize.close();
    throw new Error("dead");
  });
  await expect(node.call("payments.charge", request)).rejects.toThrow();
  await node.stop();
}

describe("outcomes", () => {
  test.each([
    ["pm_card_visa", "captured", null, "captured"],
    ["pm_card_mastercard", "captured", null, "captured"],
    ["pm_card_amex", "captured", null, "captured"],
    ["pm_sandbox_timeout_after_capture", "captured", null, "captured"],
    ["pm_card_chargeDeclined", "declined", "card_declined", "declined"],
    ["pm_card_chargeDeclinedInsufficientFunds", "declined", "insufficient_funds", "declined"],
    ["pm_sandbox_unavailable", "unavailable", "unavailable", "failed"],
    ["pm_nonsense", "invalid_method", "invalid_method", "failed"],
  ])("%s is %s, and is that again under the same key", async (method, outcome, reason, status) => {
    const request = charging(method);
    const first = await shop.call("payments.charge", request);
    expect(first).toMatchObject({ outcome, reason, provider: "sandbox" });
    const sent = provider.sent.length;
    expect(await shop.call("payments.charge", request)).toEqual(first);
    expect(provider.sent.length).toBe(sent);

    const captured = outcome === "captured" ? 2999 : 0;
    expect(await paymentsOf(request.order_id)).toEqual([{ status, failure_code: reason, refunded: 0 }]);
    expect(await booksOf(request.order_id)).toEqual({
      charges: captured === 0 ? 0 : 1,
      captured,
      refunded: 0,
    });
  });
});

describe("never twice", () => {
  test("the same key 50 times at once is one request, one capture, one answer", async () => {
    const request = charging();
    const before = provider.sent.length;
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => shop.call("payments.charge", request)),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ outcome: "captured" });
    expect(provider.sent.length).toBe(before + 1);
    expect(await booksOf(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("ten attempts of one order at once are one capture, and each is answered with it", async () => {
    const orderId = newId();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        shop.call("payments.charge", charging("pm_card_visa", orderId, n + 1)),
      ),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ outcome: "captured" });
    expect(await booksOf(orderId)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
    expect(await paymentsOf(orderId)).toHaveLength(1);
  });

  test("an attempt after a declined one may capture; one after a capture is answered with it", async () => {
    const orderId = newId();
    const declined = await shop.call("payments.charge", charging("pm_card_chargeDeclined", orderId, 1));
    const captured = await shop.call("payments.charge", charging("pm_card_visa", orderId, 2));
    const again = await shop.call("payments.charge", charging("pm_card_amex", orderId, 3));
    expect([declined.outcome, captured.outcome]).toEqual(["declined", "captured"]);
    expect(again).toEqual(captured);
    expect(await booksOf(orderId)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("the database itself refuses a second live attempt, and more refunded than captured", async () => {
    const request = charging();
    await shop.call("payments.charge", request);
    const insert = `INSERT INTO payments.payments (id, key, order_id, user_id, amount, currency, provider, check_at)
                    VALUES ($1, $2, $3, $1, 2999, 'EUR', 'sandbox', now()) RETURNING id`;
    await expect(provider.db.rows(insert, [newId(), "another key", request.order_id])).rejects.toMatchObject({
      parent: { constraint: "payments_one_capture" },
    });
    const overdraw = `UPDATE payments.payments SET refunded = 2998, refunding = 2, status = 'partially_refunded'
                      WHERE order_id = $1 RETURNING id`;
    await expect(provider.db.rows(overdraw, [request.order_id])).rejects.toMatchObject({
      parent: { constraint: "payments_never_gives_back_more" },
    });
  });

  test("a key asked for with another amount is refused without a charge", async () => {
    const request = charging();
    await shop.call("payments.charge", request);
    await expect(shop.call("payments.charge", { ...request, amount: 1 })).rejects.toThrow(
      "another order or amount",
    );
    expect(await booksOf(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });
});

describe("unknown outcomes", () => {
  test("a node that dies after the capture: the next one finds it and captures nothing more", async () => {
    const request = charging();
    await chargeAndDie(request, "after");
    expect(await paymentsOf(request.order_id)).toMatchObject([{ status: "processing" }]);
    const sent = provider.sent.length;
    const answer = await shop.call("payments.charge", request);
    expect(answer.outcome).toBe("captured");
    expect(await shop.call("payments.charge", request)).toEqual(answer);
    expect(provider.sent.length).toBe(sent);
    expect(await booksOf(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("a node that dies before the capture: the next one sends the charge once more", async () => {
    const request = charging();
    await chargeAndDie(request, "before");
    expect(await shop.call("payments.charge", request)).toMatchObject({ outcome: "captured" });
    expect(await booksOf(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("another attempt settles the one of the dead node first", async () => {
    const first = charging();
    await chargeAndDie(first, "after");
    const second = await shop.call("payments.charge", charging("pm_card_amex", first.order_id, 2));
    expect(second).toEqual(await shop.call("payments.charge", first));
    expect(await booksOf(first.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("a capture that lands after the timeout is found, though the provider is away by then", async () => {
    const request = charging();
    provider.onCharge(request.order_id, async (asked) => {
      provider.onCharge(request.order_id, async () => ({ kind: "unavailable" }));
      setTimeout(() => void provider.real.charge(asked, new AbortController().signal), 400);
      throw new Error("no answer");
    });
    expect(await shop.call("payments.charge", request)).toMatchObject({ outcome: "captured" });
    expect(await booksOf(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("a request that never arrived and then a provider that is away end as unavailable, in bounded time", async () => {
    const request = charging("pm_sandbox_unavailable");
    await chargeAndDie(request, "before");
    expect(await shop.call("payments.charge", request)).toMatchObject({ outcome: "unavailable" });
    expect(await paymentsOf(request.order_id)).toMatchObject([{ status: "failed" }]);
  });

  test("a request that was frozen past all deadlines: a webhook tells of its capture, and it goes back", async () => {
    const request = charging();
    let thaw = () => {};
    const frozen = new Promise<void>((resolve) => {
      thaw = resolve;
    });
    provider.onCharge(request.order_id, async (asked) => {
      provider.onCharge(request.order_id, async () => ({ kind: "unavailable" }));
      await frozen;
      return await provider.real.charge(asked, new AbortController().signal);
    });
    expect(await shop.call("payments.charge", request)).toMatchObject({ outcome: "unavailable" });
    thaw();
    await eventually(async () => await provider.real.lookupCharge(request.key, new AbortController().signal));

    const body = JSON.stringify({
      id: newId(),
      type: "charge.captured",
      data: { idempotency_key: request.key },
    });
    const signature = signSandboxWebhook(
      shop.config.SANDBOX_WEBHOOK_SECRET,
      body,
      Math.floor(Date.now() / 1000),
    );
    const told = await send(shop, "POST", "/api/payments/webhooks/sandbox", body, {
      headers: { "x-sandbox-signature": signature },
    });
    expect(told.status).toBe(200);
    const books = await eventually(async () => {
      const now = await booksOf(request.order_id);
      return now !== undefined && "refunded" in now && now.refunded === 2999 && now;
    });
    expect(books).toEqual({ charges: 1, captured: 2999, refunded: 2999 });
    expect(await paymentsOf(request.order_id)).toMatchObject([{ status: "failed" }]);
    const audit = await shop.call("payments.audit", { order_ids: [request.order_id] });
    expect(audit.violations).toEqual([]);
  });

  test("what nobody asks about any more is ended by the sweep", async () => {
    const captured = charging();
    const never = charging();
    await Promise.all([chargeAndDie(captured, "after"), chargeAndDie(never, "before")]);
    await checkIsDue(captured.order_id);
    await checkIsDue(never.order_id);
    await eventually(async () => (await paymentsOf(captured.order_id))[0]?.status === "captured");
    await eventually(async () => (await paymentsOf(never.order_id))[0]?.status === "failed");
    expect(await shop.call("payments.charge", never)).toMatchObject({ outcome: "unavailable" });
  });
});

describe("cancelOrder", () => {
  const cancelling = (order_id: string) => ({ order_id, reason: "cancelled_by_customer" });

  test("gives back all that was captured, and answers the same when asked again", async () => {
    const request = charging();
    await shop.call("payments.charge", request);
    const first = await shop.call("payments.cancelOrder", cancelling(request.order_id));
    expect(first).toMatchObject({ refunded: 2999, payment: { status: "refunded", refunded_amount: 29.99 } });
    expect(await shop.call("payments.cancelOrder", cancelling(request.order_id))).toEqual(first);
    expect(await booksOf(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 2999 });
  });

  test("without a capture gives nothing back", async () => {
    const request = charging("pm_card_chargeDeclined");
    await shop.call("payments.charge", request);
    for (const orderId of [request.order_id, newId()]) {
      expect(await shop.call("payments.cancelOrder", cancelling(orderId))).toEqual({
        refunded: 0,
        payment: null,
      });
    }
  });

  test("refuses every charge that comes later", async () => {
    const request = charging();
    await shop.call("payments.cancelOrder", cancelling(request.order_id));
    const sent = provider.sent.length;
    expect(await shop.call("payments.charge", request)).toMatchObject({
      outcome: "voided",
      payment_id: null,
    });
    expect(provider.sent.length).toBe(sent);
    expect(await paymentsOf(request.order_id)).toEqual([]);
  });

  test("against charges at the same time leaves nothing captured", async () => {
    const requests = Array.from({ length: 40 }, (_, n) =>
      charging(n % 4 === 3 ? "pm_sandbox_timeout_after_capture" : "pm_card_visa"),
    );
    await Promise.all(
      requests.map(async (request) => {
        const [, cancelled] = await Promise.all([
          shop.call("payments.charge", request),
          shop.call("payments.cancelOrder", cancelling(request.order_id)),
        ]);
        const { order_id } = request;
        const { orders } = await shop.call("payments.audit", { order_ids: [order_id] });
        expect(orders).toMatchObject([
          { processing: 0, captured: cancelled.refunded, refunded: cancelled.refunded },
        ]);
        const books = await booksOf(order_id);
        expect(books).toMatchObject({ captured: cancelled.refunded, refunded: cancelled.refunded });
        expect(await shop.call("payments.charge", request)).toMatchObject({ outcome: "voided" });
      }),
    );
  });

  test.each([
    ["captured", "after", { charges: 1, captured: 2999, refunded: 2999 }, "refunded"],
    ["never sent", "before", { charges: 0, captured: 0, refunded: 0 }, "voided"],
  ] as const)("of an attempt that a dead node had %s", async (_what, moment, books, status) => {
    const request = charging();
    await chargeAndDie(request, moment);
    const answer = await shop.call("payments.cancelOrder", cancelling(request.order_id));
    expect(answer).toMatchObject({ refunded: books.refunded, payment: { status } });
    expect(await booksOf(request.order_id)).toEqual(books);
  });

  test("that died halfway is ended by the sweep", async () => {
    const request = charging();
    await shop.call("payments.charge", request);
    provider.onNextRefund(async () => {
      throw new Error("no answer");
    });
    await expect(shop.call("payments.cancelOrder", cancelling(request.order_id))).rejects.toMatchObject({
      type: "PAYMENT_OUTCOME_UNKNOWN",
    });
    await checkIsDue(request.order_id);
    await eventually(async () => (await paymentsOf(request.order_id))[0]?.status === "refunded");
    expect(await booksOf(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 2999 });
  });

  test("gives back the rest of what was refunded in part, and a partial refund that is still open", async () => {
    const request = charging();
    await shop.call("payments.charge", request);
    const [payment] = await provider.db.rows<{ id: string }>(
      "SELECT id FROM payments.payments WHERE key = $1",
      [request.key],
    );
    await provider.db.rows("UPDATE payments.payments SET refunding = 1000 WHERE id = $1 RETURNING id", [
      payment?.id,
    ]);
    await provider.db.rows(
      `INSERT INTO payments.refunds (id, payment_id, key, amount, reason, check_at)
       VALUES ($1, $2, $3, 1000, 'damaged', now() + interval '1 hour') RETURNING id`,
      [newId(), payment?.id, newId()],
    );
    const answer = await shop.call("payments.cancelOrder", cancelling(request.order_id));
    expect(answer).toMatchObject({ refunded: 2999, payment: { status: "refunded" } });
    expect(await booksOf(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 2999 });
  });
});
