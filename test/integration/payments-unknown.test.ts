import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { signSandboxWebhook } from "../../services/payments/providers/sandbox-webhook.ts";
import { Charges, charging } from "../helpers/charges.ts";
import { eventually, send } from "../helpers/client.ts";

/** A charge whose outcome nobody heard of. */

let charges: Charges;
beforeAll(async () => {
  charges = await Charges.start();
});
afterAll(async () => await charges?.shop.stop());

const never = new AbortController().signal;

describe("unknown outcomes", () => {
  test("a node that dies after the capture: the next one finds it and captures nothing more", async () => {
    const request = charging();
    await charges.chargeAndDie(request, "after");
    expect(await charges.payments(request.order_id)).toMatchObject([{ status: "processing" }]);
    const sent = charges.provider.sent.length;
    const answer = await charges.charge(request);
    expect(answer.outcome).toBe("captured");
    expect(await charges.charge(request)).toEqual(answer);
    expect(charges.provider.sent.length).toBe(sent);
    expect(await charges.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("a node that dies before the capture: the next one sends the charge once more", async () => {
    const request = charging();
    await charges.chargeAndDie(request, "before");
    await charges.sentLongAgo(request.order_id);
    expect(await charges.charge(request)).toMatchObject({ outcome: "captured" });
    expect(await charges.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("another attempt settles the one of the dead node first", async () => {
    const first = charging();
    await charges.chargeAndDie(first, "after");
    const second = await charges.charge(charging("pm_card_amex", first.order_id, 2));
    expect(second).toEqual(await charges.charge(first));
    expect(await charges.books(first.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("a capture that lands after the timeout is found, though the provider is away by then", async () => {
    const { provider } = charges;
    const request = charging();
    provider.onCharge(request.order_id, async (asked) => {
      provider.onCharge(request.order_id, async () => ({ kind: "unavailable" }));
      let looks = 0;
      provider.beforeChargeLookup(async (key) => {
        if (key === request.key && ++looks === 3) await provider.real.charge(asked, never);
      });
      throw new Error("no answer");
    });
    expect(await charges.charge(request)).toMatchObject({ outcome: "captured" });
    expect(await charges.books(request.order_id)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
  });

  test("a request that never arrived and then a provider that is away end as unavailable, in bounded time", async () => {
    const request = charging("pm_sandbox_unavailable");
    await charges.chargeAndDie(request, "before");
    await charges.sentLongAgo(request.order_id);
    expect(await charges.charge(request)).toMatchObject({ outcome: "unavailable" });
    expect(await charges.payments(request.order_id)).toMatchObject([{ status: "failed" }]);
  });

  test("a request that was frozen past all deadlines: a webhook tells of its capture, and it goes back", async () => {
    const request = charging();
    const { provider } = charges;
    const { promise: frozen, resolve: thaw } = Promise.withResolvers<void>();
    let sent: Promise<unknown> | undefined;
    provider.onCharge(request.order_id, async (asked) => {
      provider.onCharge(request.order_id, async () => ({ kind: "unavailable" }));
      sent = frozen.then(() => provider.real.charge(asked, never));
      await charges.sentLongAgo(request.order_id);
      throw new Error("no answer");
    });
    expect(await charges.charge(request)).toMatchObject({ outcome: "unavailable" });
    thaw();
    await sent;

    const body = JSON.stringify({
      id: newId(),
      type: "charge.captured",
      data: { idempotency_key: request.key },
    });
    const signature = signSandboxWebhook(
      charges.shop.config.SANDBOX_WEBHOOK_SECRET,
      body,
      Math.floor(Date.now() / 1000),
    );
    const told = await send(charges.shop, "POST", "/api/payments/webhooks/sandbox", body, {
      headers: { "x-sandbox-signature": signature },
    });
    expect(told.status).toBe(200);
    const books = await eventually(async () => {
      const now = await charges.books(request.order_id);
      return now !== undefined && "refunded" in now && now.refunded === 2999 && now;
    });
    expect(books).toEqual({ charges: 1, captured: 2999, refunded: 2999 });
    expect(await charges.payments(request.order_id)).toMatchObject([{ status: "failed" }]);
    const audit = await charges.shop.call("payments.audit", { order_ids: [request.order_id] });
    expect(audit.violations).toEqual([]);
  });

  test("a late capture whose refund is refused is looked at again, until the money is back", async () => {
    const request = charging();
    const { provider } = charges;
    provider.onCharge(request.order_id, async () => ({ kind: "unavailable" }));
    expect(await charges.charge(request)).toMatchObject({ outcome: "unavailable" });
    const { key, order_id: orderId, amount, currency, payment_method: paymentMethod } = request;
    await provider.real.charge({ key, orderId, amount, currency, paymentMethod }, never);
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    provider.onNextRefund(async () => {
      resolve();
      return { kind: "refused", reason: "disputed" };
    });
    await charges.checkIsDue(orderId);
    await asked;
    expect(await charges.books(orderId)).toEqual({ charges: 1, captured: 2999, refunded: 0 });
    await eventually(async () => {
      await provider.db.rows(
        "UPDATE payments.payments SET check_at = now() WHERE order_id = $1 AND check_at IS NOT NULL RETURNING id",
        [orderId],
      );
      return (await charges.books(orderId))?.refunded === 2999;
    });
  });

  test("what nobody asks about any more is ended by the sweep", async () => {
    const captured = charging();
    const never = charging();
    await Promise.all([charges.chargeAndDie(captured, "after"), charges.chargeAndDie(never, "before")]);
    await charges.checkIsDue(captured.order_id);
    await charges.checkIsDue(never.order_id);
    await eventually(async () => (await charges.payments(captured.order_id))[0]?.status === "captured");
    await eventually(async () => (await charges.payments(never.order_id))[0]?.status === "failed");
    expect(await charges.charge(never)).toMatchObject({ outcome: "unavailable" });
  });
});
