import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { type UnreliableProvider, unreliablePayments } from "../helpers/payments.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let provider: UnreliableProvider;
const never = new AbortController().signal;

beforeAll(async () => {
  const unreliable = unreliablePayments();
  shop = await startShop({ replace: { payments: unreliable.payments } });
  provider = unreliable.provider();
});
afterAll(async () => await shop.stop());

/** A captured order of 29.99 whose capture is more than a minute old. @returns its id */
async function givenCapture(payment_method = "pm_card_visa"): Promise<string> {
  const order_id = newId();
  await shop.call("payments.charge", {
    key: `${order_id}:charge:1`,
    order_id,
    user_id: newId(),
    amount: 2999,
    currency: "EUR",
    payment_method,
  });
  await run(
    "UPDATE payments.sandbox_charges SET created_at = now() - interval '2 minutes' WHERE order_id = $1",
    order_id,
  );
  return order_id;
}

async function run(sql: string, orderId: string): Promise<void> {
  await provider.db.rows(`${sql} RETURNING 1 AS done`, [orderId]);
}

async function audit(...order_ids: string[]) {
  return await shop.call("payments.audit", { order_ids });
}

const messagesOf = ({ violations }: Awaited<ReturnType<typeof audit>>) =>
  violations.map(({ message }) => message);

describe("figures", () => {
  test("of each order, also of one without a payment", async () => {
    const [paid, cancelled, unknown] = [await givenCapture(), await givenCapture(), newId()];
    await shop.call("payments.cancelOrder", { order_id: cancelled, reason: "x" });
    const { orders, violations } = await audit(paid, cancelled, unknown);
    expect(violations).toEqual([]);
    expect(orders).toHaveLength(3);
    expect(orders).toEqual(
      expect.arrayContaining([
        { order_id: paid, captures: 1, captured: 2999, refunded: 0, processing: 0 },
        { order_id: cancelled, captures: 1, captured: 2999, refunded: 2999, processing: 0 },
        { order_id: unknown, captures: 0, captured: 0, refunded: 0, processing: 0 },
      ]),
    );
    expect(await audit()).toEqual({ orders: [], violations: [] });
  });
});

describe("violations", () => {
  test("a capture there that is none here; not within its first minute, nor while it is processing", async () => {
    const orderId = newId();
    const charge = {
      key: `${orderId}:charge:1`,
      orderId,
      amount: 500,
      currency: "EUR",
      paymentMethod: "pm_card_visa",
    };
    await provider.real.charge(charge, never);
    expect(await audit(orderId)).toMatchObject({ violations: [] });
    await run(
      "UPDATE payments.sandbox_charges SET created_at = now() - interval '2 minutes' WHERE order_id = $1",
      orderId,
    );
    expect(await audit(orderId)).toMatchObject({
      violations: [
        {
          invariant: "I2",
          message: "The provider keeps other money than we know of",
          row: {
            key: charge.key,
            order_id: orderId,
            captured_there: 500,
            refunded_there: 0,
            payment_id: null,
          },
        },
      ],
    });
    const processing = await givenCapture();
    await run(
      `UPDATE payments.payments SET status = 'processing', provider_ref = NULL, check_at = now() + interval '1 h'
       WHERE order_id = $1`,
      processing,
    );
    expect(messagesOf(await audit(processing))).toEqual([]);
  });

  test("a capture here that there is none, or of another amount", async () => {
    const orderId = await givenCapture();
    await run("UPDATE payments.sandbox_charges SET amount = 1 WHERE order_id = $1", orderId);
    expect(messagesOf(await audit(orderId))).toContain("A captured payment is not in the provider's books");
    await run("DELETE FROM payments.sandbox_charges WHERE order_id = $1", orderId);
    expect(messagesOf(await audit(orderId))).toEqual(["A captured payment is not in the provider's books"]);
  });

  test("a capture there of an attempt that has failed here", async () => {
    const orderId = await givenCapture();
    await run(
      "UPDATE payments.payments SET status = 'failed', provider_ref = NULL WHERE order_id = $1",
      orderId,
    );
    expect(messagesOf(await audit(orderId))).toEqual(["The provider keeps other money than we know of"]);
  });

  test("a refund there that is none here", async () => {
    const orderId = await givenCapture();
    const found = await provider.real.lookupCharge(`${orderId}:charge:1`, never);
    const chargeRef = found?.kind === "captured" ? found.ref : "";
    await provider.real.refund({ key: newId(), chargeRef, amount: 100, currency: "EUR" }, never);
    expect(messagesOf(await audit(orderId))).toEqual([
      "The provider keeps other money than we know of",
      "The provider gave something back that we don't know of",
    ]);
  });

  test("a capture here under another reference than there", async () => {
    const orderId = await givenCapture();
    await run("UPDATE payments.payments SET provider_ref = 'ch_other' WHERE order_id = $1", orderId);
    expect(messagesOf(await audit(orderId))).toEqual(["A captured payment is not in the provider's books"]);
  });

  test("a capture here of what was declined there, and nothing in what was declined on both sides", async () => {
    const orderId = await givenCapture();
    await run("UPDATE payments.sandbox_charges SET declined = 'card_declined' WHERE order_id = $1", orderId);
    expect(messagesOf(await audit(orderId))).toEqual(["A captured payment is not in the provider's books"]);
    expect(messagesOf(await audit(await givenCapture("pm_card_chargeDeclined")))).toEqual([]);
  });

  test("sums that are not those of the refunds", async () => {
    const orderId = await givenCapture();
    await run("UPDATE payments.payments SET refunding = 100 WHERE order_id = $1", orderId);
    expect(messagesOf(await audit(orderId))).toEqual(["A payment's sums are not those of its refunds"]);
    await run(
      "UPDATE payments.payments SET refunding = 0, refunded = 100, status = 'partially_refunded' WHERE order_id = $1",
      orderId,
    );
    expect(messagesOf(await audit(orderId))).toEqual([
      "A payment's sums are not those of its refunds",
      "The provider keeps other money than we know of",
    ]);
  });

  /** No sweep looks at them within the test, so that they stay as they are. */
  const PENDING = `
    WITH refund AS (
      UPDATE payments.refunds SET status = 'pending', provider_ref = NULL, check_at = now() + interval '1 hour',
        created_at = now() - interval '1 day', updated_at = now() - interval '<age> minutes'
      WHERE payment_id = (SELECT id FROM payments.payments WHERE order_id = $1) RETURNING amount
    )
    UPDATE payments.payments SET status = 'captured', refunded = 0, refunding = (SELECT amount FROM refund)
    WHERE order_id = $1`;
  const PROCESSING = `
    UPDATE payments.payments SET status = 'processing', provider_ref = NULL, check_at = now() + interval '1 hour',
      created_at = now() - interval '<age> minutes', sent_at = now()
    WHERE order_id = $1`;
  const aged = (sql: string, minutes: number) => sql.replace("<age>", String(minutes));

  test("a payment without an outcome, from an hour on", async () => {
    const orderId = await givenCapture();
    await run(aged(PROCESSING, 59), orderId);
    expect(await audit(orderId)).toMatchObject({ orders: [{ processing: 1 }], violations: [] });
    await run(aged(PROCESSING, 61), orderId);
    expect(await audit(orderId)).toMatchObject({
      violations: [
        {
          invariant: "I2",
          message: "A payment has had no outcome for over an hour",
          row: { order_id: orderId, amount: 2999, requests: 1 },
        },
      ],
    });
  });

  test("a refund without an outcome, from an hour on", async () => {
    const orderId = await givenCapture();
    await shop.call("payments.cancelOrder", { order_id: orderId, reason: "x" });
    await run(aged(PENDING, 59), orderId);
    expect(await audit(orderId)).toMatchObject({ violations: [] });
    await run(aged(PENDING, 61), orderId);
    expect(await audit(orderId)).toMatchObject({
      violations: [
        {
          invariant: "I2",
          message: "A refund has had no outcome for over an hour",
          row: { order_id: orderId, amount: 2999, requests: 1 },
        },
      ],
    });
  });

  test("are only those of the orders that were asked for", async () => {
    const orderId = await givenCapture();
    await run("UPDATE payments.payments SET refunding = 100 WHERE order_id = $1", orderId);
    expect(messagesOf(await audit(await givenCapture()))).toEqual([]);
  });

  test("what the database would refuse, where it did not", async () => {
    await provider.db.rows("DROP INDEX payments.payments_one_capture", []);
    await provider.db.rows(
      `ALTER TABLE payments.payments DROP CONSTRAINT payments_never_gives_back_more,
         DROP CONSTRAINT payments_status_is_what_was_refunded`,
      [],
    );
    const [twice, tooMuch] = [await givenCapture(), await givenCapture()];
    await run(
      `INSERT INTO payments.payments (id, key, order_id, user_id, amount, currency, provider, status, provider_ref)
       SELECT gen_random_uuid(), key || ':again', order_id, user_id, amount, currency, provider, status, provider_ref
       FROM payments.payments WHERE order_id = $1`,
      twice,
    );
    expect(messagesOf(await audit(twice))).toEqual([
      "An order was captured more than once",
      "A captured payment is not in the provider's books",
    ]);
    await run("UPDATE payments.payments SET refunded = amount + 1 WHERE order_id = $1", tooMuch);
    expect(messagesOf(await audit(tooMuch))).toContain("More was given back than was captured");
  });
});
