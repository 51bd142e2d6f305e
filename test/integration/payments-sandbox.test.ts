import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { loadConfig } from "../../lib/config.ts";
import { newId } from "../../lib/ids.ts";
import { sequelizeOf } from "../../lib/stores/connect.ts";
import { Database } from "../../lib/stores/database.ts";
import type { ChargeRequest } from "../../services/payments/providers/provider.ts";
import { Sandbox } from "../../services/payments/providers/sandbox.ts";
import { TEST_ENV } from "../helpers/env.ts";
import { createDatabase } from "../helpers/shop.ts";

let db: Database;
let sandbox: Sandbox;

beforeAll(async () => {
  const url = await createDatabase();
  const config = loadConfig({ ...TEST_ENV, DATABASE_URL: url, JWT_SECRET: "x".repeat(32) });
  db = new Database(sequelizeOf(url, config));
  sandbox = new Sandbox(db, config.SANDBOX_WEBHOOK_SECRET);
});
afterAll(async () => await db.sequelize.close());

const charging = (paymentMethod = "pm_card_visa", key = newId()): ChargeRequest => ({
  key,
  orderId: newId(),
  amount: 1000,
  currency: "EUR",
  paymentMethod,
});
const withinMs = (ms: number) => AbortSignal.timeout(ms);

async function captured(): Promise<string> {
  const result = await sandbox.charge(charging(), withinMs(5_000));
  if (result.kind !== "captured") throw new Error(`The charge was ${result.kind}`);
  return result.ref;
}

describe("charges", () => {
  test("a key has one result, whatever is asked under it later, and looked up it is the same", async () => {
    const first = await sandbox.charge(charging("pm_card_visa", "one"), withinMs(5_000));
    expect(first).toEqual({ kind: "captured", ref: expect.stringMatching(/^ch_/) });
    expect(await sandbox.charge(charging("pm_card_chargeDeclined", "one"), withinMs(5_000))).toEqual(first);
    expect(await sandbox.lookupCharge("one")).toEqual(first);

    const declined = await sandbox.charge(charging("pm_card_chargeDeclined", "two"), withinMs(5_000));
    expect(declined).toEqual({ kind: "declined", reason: "card_declined" });
    expect(await sandbox.charge(charging("pm_card_visa", "two"), withinMs(5_000))).toEqual(declined);
    expect(await sandbox.lookupCharge("two")).toEqual(declined);
    expect(await sandbox.lookupCharge("three")).toBeUndefined();
  });

  test("50 at once under one key are one", async () => {
    const request = charging();
    const results = await Promise.all(
      Array.from({ length: 50 }, () => sandbox.charge(request, withinMs(5_000))),
    );
    expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
  });

  test("pm_sandbox_timeout_after_capture captures and says nothing, the first time", async () => {
    const request = charging("pm_sandbox_timeout_after_capture");
    await expect(sandbox.charge(request, withinMs(100))).rejects.toMatchObject({ name: "TimeoutError" });
    const found = await sandbox.lookupCharge(request.key);
    expect(found).toMatchObject({ kind: "captured" });
    expect(await sandbox.charge(request, withinMs(100))).toEqual(found);
  });

  test("pm_sandbox_unavailable never captures", async () => {
    const request = charging("pm_sandbox_unavailable");
    for (const _time of [1, 2]) {
      expect(await sandbox.charge(request, withinMs(5_000))).toEqual({ kind: "unavailable" });
    }
    expect(await sandbox.lookupCharge(request.key)).toBeUndefined();
  });

  test("pm_sandbox_slow takes 3 s, and captures nothing for a caller who has gone", async () => {
    const [patient, impatient] = [charging("pm_sandbox_slow"), charging("pm_sandbox_slow")];
    const started = performance.now();
    const left = expect(sandbox.charge(impatient, withinMs(100))).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(await sandbox.charge(patient, withinMs(10_000))).toMatchObject({ kind: "captured" });
    expect(performance.now() - started).toBeGreaterThan(2_990);
    await left;
    expect(await sandbox.lookupCharge(impatient.key)).toBeUndefined();
  });

  test("what it doesn't know is invalid", async () => {
    for (const method of ["pm_card", "4242424242424242", "__proto__", "constructor"]) {
      expect(await sandbox.charge(charging(method), withinMs(5_000))).toEqual({ kind: "invalid_method" });
    }
  });

  test("are written beside the caller's transaction: a rollback leaves them", async () => {
    const request = charging();
    await expect(
      db.transaction(async () => {
        await sandbox.charge(request, withinMs(5_000));
        throw new Error("rolled back");
      }),
    ).rejects.toThrow("rolled back");
    expect(await sandbox.lookupCharge(request.key)).toMatchObject({ kind: "captured" });
  });
});

describe("refunds", () => {
  test("a key has one result, and looked up it is the same", async () => {
    const chargeRef = await captured();
    const request = { key: newId(), chargeRef, amount: 600, currency: "EUR" };
    expect(await sandbox.lookupRefund(request.key)).toBeUndefined();
    const first = await sandbox.refund(request);
    expect(first).toEqual({ kind: "refunded", ref: expect.stringMatching(/^re_/) });
    // Again it would exceed the charge; it is not again.
    expect(await sandbox.refund(request)).toEqual(first);
    expect(await sandbox.lookupRefund(request.key)).toEqual(first);
  });

  test("together never exceed their charge, not at once either", async () => {
    const chargeRef = await captured();
    const results = await Promise.all(
      Array.from({ length: 20 }, () =>
        sandbox.refund({ key: newId(), chargeRef, amount: 300, currency: "EUR" }),
      ),
    );
    expect(results.filter(({ kind }) => kind === "refunded")).toHaveLength(3);
    expect(results.filter(({ kind }) => kind === "refused")).toHaveLength(17);
  });

  test("of no charge are refused", async () => {
    const refund = { key: newId(), chargeRef: "ch_none", amount: 1, currency: "EUR" };
    expect(await sandbox.refund(refund)).toEqual({ kind: "refused", reason: "no_such_charge" });
  });
});
