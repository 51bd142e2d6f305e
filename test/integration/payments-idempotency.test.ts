import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { loadConfig } from "../../lib/config.ts";
import { OrderInProgress, PaymentDeclined, Unavailable } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { sequelizeOf } from "../../lib/stores/connect.ts";
import { Database } from "../../lib/stores/database.ts";
import { IdempotencyKeys, type KeyedRequest } from "../../lib/stores/idempotency.ts";
import { TEST_ENV } from "../helpers/env.ts";
import { createDatabase } from "../helpers/shop.ts";

let db: Database;
let keys: IdempotencyKeys;

beforeAll(async () => {
  const url = await createDatabase();
  const config = loadConfig({ ...TEST_ENV, DATABASE_URL: url, JWT_SECRET: "x".repeat(32) });
  db = new Database(sequelizeOf(url, config));
  keys = new IdempotencyKeys(db, "payments");
});
afterAll(async () => await db.sequelize.close());

function request(): KeyedRequest {
  return { userId: newId(), scope: "tests", key: "key", params: { b: [1, { d: null, c: "x" }], a: 1 } };
}

/** Claims the key, which must be free. */
async function claim(asked: KeyedRequest) {
  const begun = await keys.begin(asked);
  if (!("claim" in begun)) throw new Error("The key has an answer already");
  return begun.claim;
}

async function expireLease({ userId }: KeyedRequest): Promise<void> {
  await db.rows(
    "UPDATE payments.idempotency_keys SET lease_until = now() - interval '1 s' WHERE user_id = $1 RETURNING id",
    [userId],
  );
}

describe("run", () => {
  test("answers once: a result", async () => {
    const asked = request();
    const ids: string[] = [];
    const work = async ({ id }: { id: string }) => {
      ids.push(id);
      return { n: ids.length };
    };
    const first = await keys.run(asked, work);
    expect(first).toEqual({ answer: { kind: "result", result: { n: 1 } }, replayed: false });
    expect(await keys.run(asked, work)).toEqual({ ...first, replayed: true });
    expect(ids).toHaveLength(1);
  });

  test("answers once: a definite refusal", async () => {
    const asked = request();
    const refuse = async () => {
      throw new PaymentDeclined({ reason: "insufficient_funds" });
    };
    await keys.run(asked, refuse);
    const { answer, replayed } = await keys.run(asked, async () => ({}));
    expect(replayed).toBe(true);
    expect(answer).toMatchObject({
      kind: "refusal",
      failure: {
        code: 402,
        type: "PAYMENT_DECLINED",
        message: "The card has insufficient funds.",
        data: { reason: "insufficient_funds" },
      },
    });
  });

  test("gives the answer again when the lease has long run out", async () => {
    const asked = request();
    const first = await keys.run(asked, async () => ({ n: 1 }));
    await expireLease(asked);
    expect(await keys.run(asked, async () => ({ n: 2 }))).toEqual({ ...first, replayed: true });
  });

  test("gives each user, and each thing that is asked for, its own answer under one key", async () => {
    const asked = request();
    const others = [asked, { ...asked, scope: "others" }, { ...asked, userId: newId() }];
    for (const [n, other] of others.entries()) await keys.run(other, async () => ({ n }));
    for (const [n, other] of others.entries())
      expect((await keys.run(other, async () => ({}))).answer).toEqual({ kind: "result", result: { n } });
  });

  test.each([
    ["an unknown outcome", new Error("lost")],
    ["a store that is away", new Unavailable({ retry_after: 1 })],
    ["a refusal that passes", new OrderInProgress({})],
  ])("%s is no answer: a retry continues under the same id", async (_what, failure) => {
    const asked = request();
    const runs: { id: string; resumed: boolean }[] = [];
    const fail = async ({ id, resumed }: { id: string; resumed: boolean }) => {
      runs.push({ id, resumed });
      throw failure;
    };
    await expect(keys.run(asked, fail)).rejects.toBe(failure);
    await keys.run(asked, async ({ id, resumed }) => {
      runs.push({ id, resumed });
      return {};
    });
    expect(runs.map(({ resumed }) => resumed)).toEqual([false, true]);
    expect(runs[1]?.id).toBe(runs[0]?.id);
  });

  test("50 at once run once", async () => {
    const asked = request();
    let runs = 0;
    const settled = await Promise.allSettled(
      Array.from({ length: 50 }, () => keys.run(asked, async () => ({ n: ++runs }))),
    );
    expect(runs).toBe(1);
    for (const one of settled) {
      if (one.status === "rejected") expect(one.reason).toMatchObject({ type: "IDEMPOTENCY_IN_PROGRESS" });
      else expect(one.value.answer).toEqual({ kind: "result", result: { n: 1 } });
    }
  });
});

describe("claims", () => {
  test("hold until their lease ends; then a retry takes over, and the first run writes nothing more", async () => {
    const asked = request();
    const first = await claim(asked);
    await expect(keys.begin(asked)).rejects.toMatchObject({ type: "IDEMPOTENCY_IN_PROGRESS" });
    await expireLease(asked);
    const second = await claim(asked);
    expect(second).toEqual({ id: first.id, resumed: true, lease: expect.not.stringMatching(first.lease) });

    await keys.abandon(first);
    await expect(keys.begin(asked)).rejects.toMatchObject({ type: "IDEMPOTENCY_IN_PROGRESS" });
    expect(await keys.complete(first, { kind: "result", result: { by: "first" } })).toBe(false);
    expect(await keys.complete(second, { kind: "result", result: { by: "second" } })).toBe(true);
    expect(await keys.begin(asked)).toEqual({ answer: { kind: "result", result: { by: "second" } } });
  });

  test("are of one request: other params never take over, other users and scopes never meet", async () => {
    const asked = request();
    await claim(asked);
    await expireLease(asked);
    await expect(keys.begin({ ...asked, params: { a: 2 } })).rejects.toMatchObject({
      type: "IDEMPOTENCY_MISMATCH",
    });
    expect((await claim({ ...asked, userId: newId() })).resumed).toBe(false);
    expect((await claim({ ...asked, scope: "others" })).resumed).toBe(false);
    expect((await claim(asked)).resumed).toBe(true);
  });

  test("and answers go with the caller's transaction", async () => {
    const asked = request();
    const rolledBack = db.transaction(async (tx) => {
      const begun = await keys.begin(asked, tx);
      if ("claim" in begun) await keys.complete(begun.claim, { kind: "result", result: {} }, tx);
      throw new Error("rolled back");
    });
    await expect(rolledBack).rejects.toThrow("rolled back");
    expect((await claim(asked)).resumed).toBe(false);
  });
});

test("the sweep forgets what is older than a day, and nothing that is younger or under way", async () => {
  const [old, young, running] = [request(), request(), request()];
  for (const asked of [old, young]) await keys.run(asked, async () => ({ kept: true }));
  await expireLease(old);
  await claim(running);
  await db.rows(
    `UPDATE payments.idempotency_keys SET created_at = now() - interval '25 hours' WHERE user_id IN ($1, $2) RETURNING id`,
    [old.userId, running.userId],
  );
  expect(await keys.sweep()).toBe(1);
  expect((await claim(old)).resumed).toBe(false);
  expect((await keys.run(young, async () => ({ kept: false }))).answer).toEqual({
    kind: "result",
    result: { kept: true },
  });
  await expect(keys.begin(running)).rejects.toMatchObject({ type: "IDEMPOTENCY_IN_PROGRESS" });
});
