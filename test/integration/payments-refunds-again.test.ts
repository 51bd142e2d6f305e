import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import type { PaymentProvider } from "../../services/payments/providers/provider.ts";
import { adminToken, eventually, givenUser, type TestUser } from "../helpers/client.ts";
import { startPayments, type UnreliableProvider } from "../helpers/payments.ts";
import { refundsOf } from "../helpers/refunds.ts";
import type { Shop } from "../helpers/shop.ts";

/** Refunds that are asked for more than once: because nobody answered, or because somebody clicked twice. */

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

const unavailable: PaymentProvider["refund"] = async () => ({ kind: "unavailable" });
const noAnswer: PaymentProvider["refund"] = async () => {
  throw new Error("no answer");
};

describe("a provider that can't be reached", () => {
  test("503 with nothing given back; the same key tries again", async () => {
    const id = await givenPayment();
    provider.onNextRefund(unavailable);
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
    provider.onNextRefund(noAnswer);
    expect((await refund(id, { amount: 5, reason: "x" })).status).toBe(504);
    await checkIsDue(id);
    await eventually(async () => (await get(id)).at("payment", "refunded_amount") === 5);
    expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
  });

  test("the rest, asked for again, is what is left by then", async () => {
    const id = await givenPayment();
    const key = newId();
    provider.onNextRefund(unavailable);
    expect((await refund(id, { reason: "x" }, key)).status).toBe(503);
    await refund(id, { amount: 5, reason: "x" });
    provider.onNextRefund(noAnswer);
    expect((await refund(id, { reason: "x" }, key)).status).toBe(504);
    expect((await refund(id, { reason: "x" }, key)).body).toMatchObject({
      refund: { amount: 24.99 },
      payment: { status: "refunded", refunded_amount: 29.99 },
    });
    expect(await givenBack(id)).toEqual({ times: 2, amount: 2999 });
  });

  test("a cancellation leaves alone a refund that failed, and gives back everything", async () => {
    const id = await givenPayment();
    provider.onNextRefund(unavailable);
    expect((await refund(id, { amount: 5, reason: "x" })).status).toBe(503);
    expect(await cancel(id)).toMatchObject({ refunded: 2999 });
    expect(await givenBack(id)).toEqual({ times: 1, amount: 2999 });
  });
});

describe("unavailable after an unanswered request is not taken for a no", () => {
  /** A refund of 5.00 that the provider gave back without an answer. @returns its payment */
  async function givenUnanswered(key?: string): Promise<string> {
    const id = await givenPayment();
    provider.failNextRefundLookup();
    provider.onNextRefund(async (request, signal) => {
      await provider.real.refund(request, signal);
      throw new Error("no answer");
    });
    expect((await refund(id, { amount: 5, reason: "x" }, key)).status).toBe(504);
    return id;
  }

  test("by a retry", async () => {
    const key = newId();
    const id = await givenUnanswered(key);
    provider.onNextRefund(unavailable);
    expect((await refund(id, { amount: 5, reason: "x" }, key)).status).toBe(504);
    expect((await get(id)).at("refunds", 0, "status")).toBe("pending");
  });

  test("by the sweep", async () => {
    const id = await givenUnanswered();
    provider.onNextRefund(async () => {
      await checkIsDue(id);
      return { kind: "unavailable" };
    });
    await checkIsDue(id);
    const ended = await eventually(async () => {
      const status = (await get(id)).at("refunds", 0, "status");
      return status !== "pending" && status;
    });
    expect(ended).toBe("succeeded");
    expect(await givenBack(id)).toEqual({ times: 1, amount: 500 });
  });

  test("by a cancellation", async () => {
    const id = await givenUnanswered();
    provider.onNextRefund(unavailable);
    await expect(cancel(id)).rejects.toMatchObject({ type: "PAYMENT_OUTCOME_UNKNOWN" });
    expect(await cancel(id)).toMatchObject({ refunded: 2999 });
    expect(await givenBack(id)).toEqual({ times: 2, amount: 2999 });
  });

  test("but it is one again once the provider has refused, and the refund begins anew", async () => {
    const id = await givenPayment();
    provider.onNextRefund(noAnswer);
    await expect(cancel(id)).rejects.toMatchObject({ type: "PAYMENT_OUTCOME_UNKNOWN" });
    provider.onNextRefund(async () => {
      provider.onNextRefund(unavailable);
      return { kind: "refused", reason: "disputed" };
    });
    await expect(cancel(id)).rejects.toMatchObject({ type: "PAYMENT_PROVIDER_UNAVAILABLE" });
    expect(await cancel(id)).toMatchObject({ refunded: 2999 });
    expect(await givenBack(id)).toEqual({ times: 1, amount: 2999 });
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
