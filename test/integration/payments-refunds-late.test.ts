import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import type { PaymentProvider } from "../../services/payments/providers/provider.ts";
import { adminToken, eventually, givenUser, type TestUser } from "../helpers/client.ts";
import { startPayments, type UnreliableProvider } from "../helpers/payments.ts";
import { refundsOf } from "../helpers/refunds.ts";
import type { Shop } from "../helpers/shop.ts";

/** Two requests of one refund under way at once: the answer to the older comes last. */

let shop: Shop;
let provider: UnreliableProvider;
let user: TestUser;
let admin: string;

beforeAll(async () => {
  ({ shop, provider } = await startPayments());
  user = await givenUser(shop);
  admin = await adminToken(shop);
});
afterAll(async () => await shop.stop());

const { givenPayment, refund, get, cancel, checkIsDue, givenBack } = refundsOf(() => ({
  shop,
  provider,
  user,
  admin,
}));

type Answer = Awaited<ReturnType<PaymentProvider["refund"]>>;
const refused: Answer = { kind: "refused", reason: "disputed" };
const five = { amount: 5, reason: "x" };

const statusOf = async (paymentId: string) => (await get(paymentId)).at("refunds", 0, "status");

/** Has the sweep send one more request of this payment's refund. */
async function sweepSends(paymentId: string, behaviour?: PaymentProvider["refund"]): Promise<void> {
  if (behaviour) provider.onNextRefund(behaviour);
  await checkIsDue(paymentId);
}

describe("a refusal that comes late", () => {
  test("after another request has given back: it is told as given back", async () => {
    const id = await givenPayment();
    provider.onNextRefund(async () => {
      await sweepSends(id);
      await eventually(async () => (await statusOf(id)) === "succeeded");
      return refused;
    });
    expect(await refund(id, five)).toMatchObject({
      status: 200,
      body: { refund: { status: "succeeded" }, payment: { refunded_amount: 5 } },
    });
    expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
  });

  test("while another request is under way: nobody knows yet", async () => {
    const id = await givenPayment();
    const asked = Promise.withResolvers<void>();
    const told = Promise.withResolvers<void>();
    provider.onNextRefund(async () => {
      await sweepSends(id, async (request, signal) => {
        asked.resolve();
        await told.promise;
        return await provider.real.refund(request, signal);
      });
      await asked.promise;
      return refused;
    });
    expect(await refund(id, five)).toMatchObject({ status: 504, body: { code: "PAYMENT_OUTCOME_UNKNOWN" } });
    expect(await statusOf(id)).toBe("pending");
    told.resolve();
    await eventually(async () => (await statusOf(id)) === "succeeded");
  });

  test("after another request was refused: it is told as refused", async () => {
    const id = await givenPayment();
    provider.onNextRefund(async () => {
      await sweepSends(id, async () => refused);
      await eventually(async () => (await statusOf(id)) === "failed");
      return refused;
    });
    expect(await refund(id, five)).toMatchObject({ status: 409, body: { code: "REFUND_REFUSED" } });
    expect(await givenBack(id)).toEqual({ times: 0, amount: 0 });
  });
});

test("money that went back after a refusal of the same refund is noted as given back", async () => {
  const id = await givenPayment();
  provider.onNextRefund(async (request, signal) => {
    await sweepSends(id, async () => refused);
    await eventually(async () => (await statusOf(id)) === "failed");
    return await provider.real.refund(request, signal);
  });
  expect(await refund(id, five)).toMatchObject({
    status: 200,
    body: { refund: { status: "succeeded" }, payment: { refunded_amount: 5 } },
  });
  // The rest is still to be had, and no more.
  expect((await refund(id, { amount: 25, reason: "x" })).status).toBe(409);
  expect((await refund(id, { reason: "x" })).body).toMatchObject({ payment: { status: "refunded" } });
  expect(await givenBack(id)).toEqual({ times: 2, amount: 2999 });
});

test("where its sum was promised to another refund meanwhile, it is noted as soon as the provider has refused that", async () => {
  const id = await givenPayment();
  const [asked, noted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let other: ReturnType<typeof refund> | undefined;
  provider.onNextRefund(async (request, signal) => {
    await sweepSends(id, async () => refused);
    await eventually(async () => (await statusOf(id)) === "failed");
    provider.onNextRefund(async (whole, wholeSignal) => {
      asked.resolve();
      await noted.promise;
      return await provider.real.refund(whole, wholeSignal);
    });
    other = refund(id, { reason: "the whole" });
    await asked.promise;
    return await provider.real.refund(request, signal);
  });
  const key = newId();
  const unnoted = await refund(id, five, key);
  noted.resolve();
  expect(unnoted).toMatchObject({ status: 504, body: { code: "PAYMENT_OUTCOME_UNKNOWN" } });
  expect(await other).toMatchObject({ status: 504, body: { code: "PAYMENT_OUTCOME_UNKNOWN" } });
  expect((await refund(id, five, key)).body).toMatchObject({ payment: { refunded_amount: 5 } });
  expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
});

test("unavailable, said late to a request before a refusal, does not end what began anew after it", async () => {
  const id = await givenPayment();
  const isAnew = Promise.withResolvers<void>();
  const firstEnded = Promise.withResolvers<void>();
  provider.onNextRefund(async () => {
    await isAnew.promise;
    return { kind: "unavailable" };
  });
  const first = cancel(id).then(
    () => "given back",
    ({ type }: { type: string }) => type,
  );
  await eventually(async () => (await statusOf(id)) === "pending");
  // The second cancellation takes the refund up, is refused, and begins it anew.
  provider.onNextRefund(async () => {
    provider.onNextRefund(async (request, signal) => {
      isAnew.resolve();
      await firstEnded.promise;
      provider.failNextRefundLookup();
      await provider.real.refund(request, signal);
      throw new Error("no answer");
    });
    return refused;
  });
  const second = cancel(id);
  expect(await first).toBe("PAYMENT_OUTCOME_UNKNOWN");
  firstEnded.resolve();
  await expect(second).rejects.toMatchObject({ type: "PAYMENT_OUTCOME_UNKNOWN" });
  expect(await statusOf(id)).toBe("pending");
  await sweepSends(id);
  await eventually(async () => (await get(id)).at("payment", "status") === "refunded");
  expect(await givenBack(id)).toEqual({ times: 1, amount: 2999 });
});

test("the rest, begun anew with another sum, is booked as what the provider gave back", async () => {
  const id = await givenPayment();
  const [asked, told] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  provider.onNextRefund(async () => {
    asked.resolve();
    await told.promise;
    return refused;
  });
  const other = refund(id, five);
  await asked.promise;
  // Of the rest, 24.99, the first request is not answered, and the second refused.
  const key = newId();
  const late: (() => ReturnType<PaymentProvider["refund"]>)[] = [];
  provider.onNextRefund(async (request, signal) => {
    late.push(() => provider.real.refund(request, signal));
    throw new Error("no answer");
  });
  expect((await refund(id, { reason: "x" }, key)).status).toBe(504);
  provider.onNextRefund(async () => refused);
  await checkIsDue(id, 2499);
  await eventually(async () => (await get(id)).at("refunds", 1, "status") === "failed");
  told.resolve();
  expect((await other).status).toBe(409);
  // By now the rest is 29.99. The first request comes through before that is sent.
  provider.onNextRefund(async (request, signal) => {
    for (const send of late) await send();
    return await provider.real.refund(request, signal);
  });
  expect((await refund(id, { reason: "x" }, key)).status).toBe(504);
  expect(await givenBack(id)).toEqual({ times: 1, amount: 2499 });
  expect((await refund(id, { reason: "x" }, key)).body).toMatchObject({
    refund: { status: "succeeded", amount: 24.99 },
    payment: { status: "partially_refunded", refunded_amount: 24.99 },
  });
  expect((await refund(id, { reason: "x" })).body).toMatchObject({ payment: { status: "refunded" } });
  expect(await givenBack(id)).toEqual({ times: 2, amount: 2999 });
});

test("a cancelled order's money goes back in full, though one of its refunds gave back after its refusal", async () => {
  const id = await givenPayment();
  const late: (() => ReturnType<PaymentProvider["refund"]>)[] = [];
  provider.onNextRefund(async (request, signal) => {
    late.push(() => provider.real.refund(request, signal));
    throw new Error("no answer");
  });
  expect((await refund(id, five)).status).toBe(504);
  await sweepSends(id, async () => refused);
  await eventually(async () => (await statusOf(id)) === "failed");
  for (const send of late) await send();
  await expect(cancel(id)).rejects.toMatchObject({ type: "PAYMENT_OUTCOME_UNKNOWN" });
  expect(await cancel(id)).toMatchObject({ refunded: 2999 });
  expect(await givenBack(id)).toEqual({ times: 2, amount: 2999 });
});
