import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { signSandboxWebhook } from "../../services/payments/providers/sandbox-webhook.ts";
import { eventually, send } from "../helpers/client.ts";
import { type UnreliableProvider, unreliablePayments } from "../helpers/payments.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let provider: UnreliableProvider;
const never = new AbortController().signal;

beforeAll(async () => {
  const unreliable = unreliablePayments();
  // Long enough that nothing but the webhook ends an attempt here.
  shop = await startShop({ env: { PAYMENT_TIMEOUT: "60000" }, replace: { payments: unreliable.payments } });
  provider = unreliable.provider();
});
afterAll(async () => await shop.stop());

const nowInSeconds = () => Math.floor(Date.now() / 1000);

async function deliver(
  body: object | string,
  { secret = shop.config.SANDBOX_WEBHOOK_SECRET, at = nowInSeconds(), to = "sandbox" } = {},
) {
  const raw = typeof body === "string" ? body : JSON.stringify(body);
  return await send(shop, "POST", `/api/payments/webhooks/${to}`, raw, {
    headers: { "x-sandbox-signature": signSandboxWebhook(secret, raw, at) },
  });
}

function eventOf(type: string, key: string, id = newId()) {
  return { id, type, data: { idempotency_key: key, amount: 1 } };
}

/** A payment whose node died: processing here, and there captured, or unknown. @returns its key */
async function givenOpenPayment(captured: boolean): Promise<string> {
  const orderId = newId();
  const key = `${orderId}:charge:1`;
  await provider.db.rows(
    `INSERT INTO payments.payments (id, key, order_id, user_id, amount, currency, provider, check_at)
     VALUES ($1, $2, $3, $1, 2999, 'EUR', 'sandbox', now() + interval '1 hour') RETURNING id`,
    [newId(), key, orderId],
  );
  const charge = { key, orderId, amount: 2999, currency: "EUR", paymentMethod: "pm_card_visa" };
  if (captured) await provider.real.charge(charge, never);
  return key;
}

async function paymentOf(key: string) {
  return await provider.db.one<{ id: string; status: string; provider_ref: string; refunded: number }>(
    "SELECT id, status, provider_ref, refunded FROM payments.payments WHERE key = $1",
    [key],
  );
}

async function eventsKnown(id: string): Promise<number> {
  return (await provider.db.rows("SELECT event_id FROM payments.webhook_events WHERE event_id = $1", [id]))
    .length;
}

describe("what it may change", () => {
  test("a capture that nobody heard of is looked up and written down; its own claims are not believed", async () => {
    const key = await givenOpenPayment(true);
    const answer = await deliver(eventOf("charge.captured", key));
    expect(answer).toMatchObject({ status: 200, body: { received: true } });
    const orderId = key.split(":")[0] ?? "";
    const audit = await shop.call("payments.audit", { order_ids: [orderId] });
    expect(audit).toEqual({
      orders: [{ order_id: orderId, captures: 1, captured: 2999, refunded: 0, processing: 0 }],
      violations: [],
    });
  });

  test("that a charge was captured or has failed is not believed where the provider knows of none", async () => {
    const key = await givenOpenPayment(false);
    expect((await deliver(eventOf("charge.captured", key))).status).toBe(200);
    expect((await deliver(eventOf("charge.failed", key))).status).toBe(200);
    expect(await paymentOf(key)).toMatchObject({ status: "processing" });
  });

  test("repeated ten times at once, and once more later, it changes nothing more", async () => {
    const key = await givenOpenPayment(true);
    const event = eventOf("charge.captured", key);
    const answers = await Promise.all(Array.from({ length: 10 }, () => deliver(event)));
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 10 }, () => 200));
    const first = await paymentOf(key);
    expect((await deliver(event)).status).toBe(200);
    expect(await paymentOf(key)).toEqual(first);
    expect(await eventsKnown(event.id)).toBe(1);
  });

  test("late and out of order it changes nothing", async () => {
    const key = await givenOpenPayment(true);
    await deliver(eventOf("charge.captured", key));
    const [order_id = ""] = key.split(":");
    await shop.call("payments.cancelOrder", { order_id, reason: "x" });
    const before = await paymentOf(key);
    expect(before).toMatchObject({ status: "refunded", refunded: 2999 });
    for (const [type, about] of [
      ["charge.failed", key],
      ["charge.captured", key],
      ["refund.succeeded", `${order_id}:cancel`],
      ["refund.succeeded", key],
      ["charge.captured", "unknown"],
    ] as const) {
      expect((await deliver(eventOf(type, about))).status).toBe(200);
    }
    expect(await paymentOf(key)).toEqual(before);
  });

  test("a refund that nobody heard of is looked up and written down, once", async () => {
    const key = await givenOpenPayment(true);
    await deliver(eventOf("charge.captured", key));
    const payment = await paymentOf(key);
    const refundKey = `${key}:refund`;
    await provider.db.rows("UPDATE payments.payments SET refunding = 1000 WHERE key = $1 RETURNING id", [
      key,
    ]);
    await provider.db.rows(
      `INSERT INTO payments.refunds (id, payment_id, key, amount, reason, check_at)
       VALUES ($1, $2, $3, 1000, 'damaged', now() + interval '1 hour') RETURNING id`,
      [newId(), payment?.id, refundKey],
    );
    await deliver(eventOf("refund.succeeded", refundKey));
    expect(await paymentOf(key)).toMatchObject({ status: "captured", refunded: 0 });
    provider.failNextRefundLookup();
    expect(await deliver(eventOf("refund.succeeded", refundKey))).toMatchObject({
      status: 503,
      body: { code: "PAYMENT_PROVIDER_UNAVAILABLE" },
    });

    const chargeRef = payment?.provider_ref ?? "";
    await provider.real.refund({ key: refundKey, chargeRef, amount: 1000, currency: "EUR" }, never);
    const told = await Promise.all(
      Array.from({ length: 5 }, () => deliver(eventOf("refund.succeeded", refundKey))),
    );
    expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await paymentOf(key)).toMatchObject({ status: "partially_refunded", refunded: 1000 });
  });

  test("a refund is told of before its own request comes back, as one that didn't reach the provider", async () => {
    const key = await givenOpenPayment(true);
    await deliver(eventOf("charge.captured", key));
    provider.onNextRefund(async (request, signal) => {
      await provider.real.refund(request, signal);
      await deliver(eventOf("refund.succeeded", request.key));
      return { kind: "unavailable" };
    });
    const [order_id = ""] = key.split(":");
    const cancel = () => shop.call("payments.cancelOrder", { order_id, reason: "x" });
    expect(await cancel()).toMatchObject({ refunded: 2999 });
    expect(await paymentOf(key)).toMatchObject({ status: "refunded", refunded: 2999 });
  });

  test("a refund that was taken for failed is written down if the provider has done it after all", async () => {
    const key = await givenOpenPayment(true);
    await deliver(eventOf("charge.captured", key));
    provider.onNextRefund(async (request, signal) => {
      await provider.real.refund(request, signal);
      return { kind: "unavailable" };
    });
    const [order_id = ""] = key.split(":");
    const cancel = shop.call("payments.cancelOrder", { order_id, reason: "x" });
    await expect(cancel).rejects.toMatchObject({ type: "PAYMENT_PROVIDER_UNAVAILABLE" });
    expect(await paymentOf(key)).toMatchObject({ status: "captured", refunded: 0 });
    await deliver(eventOf("refund.succeeded", `${order_id}:cancel`));
    expect(await paymentOf(key)).toMatchObject({ status: "refunded", refunded: 2999 });
  });
});

describe("what is remembered", () => {
  test("is forgotten after WEBHOOK_RETENTION_DAYS, however much, and not before", async () => {
    const young = newId();
    await provider.db.rows(
      `INSERT INTO payments.webhook_events (provider, event_id, received_at)
       SELECT 'sandbox', 'old ' || n, now() - interval '31 days' FROM generate_series(1, 10001) AS n
       UNION ALL SELECT 'sandbox', $1, now() - interval '29 days' RETURNING 1`,
      [young],
    );
    const env = { WEBHOOK_RETENTION_DAYS: "30" };
    const node = await startShop({ env, databaseUrl: shop.databaseUrl });
    await eventually(async () => {
      const [left] = await provider.db.rows(
        "SELECT 1 FROM payments.webhook_events WHERE event_id LIKE 'old %' LIMIT 1",
      );
      return left === undefined;
    });
    await node.stop();
    expect(await eventsKnown(young)).toBe(1);
  });
});

describe("what is refused", () => {
  const event = eventOf("charge.captured", "x");
  const raw = JSON.stringify(event);

  test.each([
    ["without a signature", {}],
    ["signed with nonsense", { "x-sandbox-signature": "nonsense" }],
    ["with an empty signature", { "x-sandbox-signature": "" }],
    ["with a short digest", { "x-sandbox-signature": `t=${nowInSeconds()},v1=abcd` }],
    ["with a digest of zeros", { "x-sandbox-signature": `t=${nowInSeconds()},v1=${"0".repeat(64)}` }],
  ])("%s", async (_what, headers) => {
    const answer = await send(shop, "POST", "/api/payments/webhooks/sandbox", raw, { headers });
    expect(answer).toMatchObject({ status: 401, body: { code: "INVALID_SIGNATURE" } });
    expect(await eventsKnown(event.id)).toBe(0);
  });

  test("signed with another secret, for another body, six minutes ago, six minutes ahead", async () => {
    expect((await deliver(raw, { secret: "x".repeat(32) })).status).toBe(401);
    expect((await deliver(raw, { at: nowInSeconds() - 360 })).status).toBe(401);
    expect((await deliver(raw, { at: nowInSeconds() + 360 })).status).toBe(401);
    const signature = signSandboxWebhook(shop.config.SANDBOX_WEBHOOK_SECRET, raw, nowInSeconds());
    const tampered = await send(shop, "POST", "/api/payments/webhooks/sandbox", `${raw} `, {
      headers: { "x-sandbox-signature": signature },
    });
    expect(tampered.status).toBe(401);
    expect(await eventsKnown(event.id)).toBe(0);
  });

  test.each([
    ["{"],
    [""],
    ["[]"],
    ["null"],
    [{ type: "charge.captured", data: { idempotency_key: "x" } }],
    [{ id: "", type: "charge.captured", data: { idempotency_key: "x" } }],
    [{ id: "a\u0000", type: "charge.captured", data: { idempotency_key: "x" } }],
    [{ id: 1, type: "charge.captured", data: { idempotency_key: "x" } }],
    [{ id: "a", type: "charge.stolen", data: { idempotency_key: "x" } }],
    [{ id: "a", type: "charge.captured", data: {} }],
    [{ id: "a", type: "charge.captured" }],
  ])("signed, but malformed: %j", async (body) => {
    expect(await deliver(body)).toMatchObject({ status: 400, body: { code: "MALFORMED_REQUEST" } });
  });

  test("of a provider this shop isn't configured for, or that doesn't exist", async () => {
    expect((await deliver(raw, { to: "stripe" })).status).toBe(404);
    expect((await deliver(raw, { to: "nobody" })).status).toBe(422);
  });

  test("while the provider can't be asked: the webhook has to come again, and is handled then", async () => {
    const key = await givenOpenPayment(true);
    const again = eventOf("charge.captured", key);
    provider.failNextChargeLookup();
    expect((await deliver(again)).status).toBe(503);
    expect(await paymentOf(key)).toMatchObject({ status: "processing" });
    expect((await deliver(again)).status).toBe(200);
    expect(await paymentOf(key)).toMatchObject({ status: "captured" });
  });
});
