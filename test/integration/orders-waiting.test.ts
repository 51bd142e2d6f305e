import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { Client } from "pg";
import { newId } from "../../lib/ids.ts";
import { Database, type Tx } from "../../lib/stores/database.ts";
import { eventually, givenUser, send, type TestUser } from "../helpers/client.ts";
import { keepJobs } from "../helpers/kept-jobs.ts";
import { driverDied, idOf, ordersOf, PAID, PENDING, startOrders } from "../helpers/orders.ts";
import { FakeParticipants } from "../helpers/participants.ts";
import type { Shop } from "../helpers/shop.ts";

const fakes = new FakeParticipants();
let shop: Shop;
let db: Client;
let user: TestUser;

beforeAll(async () => {
  ({ shop, db, user } = await startOrders(fakes));
  await keepJobs(shop.databaseUrl);
});
afterAll(async () => {
  await db?.end();
  await shop?.stop();
});
beforeEach(() => {
  fakes.commands.length = 0;
  fakes.charges.length = 0;
  fakes.faults.clear();
});

const { place } = ordersOf(() => ({ shop, user }));
const get = (id: string) => send(shop, "GET", `/api/orders/${id}`, undefined, { token: user.token });

describe("an order that waits for its payment", () => {
  it("stands with its stock reserved until reserved_until", async () => {
    const answer = await place(PENDING);
    expect(answer.status).toBe(201);
    expect(answer.at("order", "status")).toBe("pending");
    const until = Date.parse(String(answer.at("order", "reserved_until")));
    expect(until - Date.now()).toBeGreaterThan(890_000);
    expect(until - Date.now()).toBeLessThanOrEqual(900_000);
    expect(fakes.commands).toEqual(["reserve"]);
  });

  const pay = (order_id: string, payment_method = "pm_card_visa") =>
    shop.call("orders.pay", { order_id, user_id: user.id, payment_method });

  it("is confirmed when it is paid", async () => {
    const id = idOf(await place(PENDING));
    await pay(id);
    expect((await get(id)).body).toMatchObject({ status: "confirmed", reserved_until: null });
    expect(fakes.reservations.get(id)).toBe("committed");
  });

  it("goes on waiting when a card is declined, and can be paid with another", async () => {
    const id = idOf(await place(PENDING));
    fakes.charges.push("declined");
    await expect(pay(id)).rejects.toMatchObject({ type: "PAYMENT_DECLINED", code: 402 });
    expect((await get(id)).at("status")).toBe("pending");
    await pay(id);
    expect((await get(id)).at("status")).toBe("confirmed");
  });

  it("is paid once when two pay at the same time", async () => {
    const id = idOf(await place(PENDING));
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => pay(id)));
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    expect(fakes.captured.get(id)).toBe(500);
  });

  it("is cancelled and released when nobody pays in time", async () => {
    const id = idOf(await place(PENDING));
    await db.query("UPDATE orders.orders SET reserved_until = now() WHERE id = $1", [id]);
    await db.query(
      "UPDATE pgboss.job SET start_after = now() WHERE name = 'orders-expiry' AND data->>'order_id' = $1",
      [id],
    );
    await eventually(async () => (await get(id)).at("status") === "cancelled");
    expect((await get(id)).at("cancel_reason")).toBe("payment_expired");
    await eventually(async () => fakes.reservations.get(id) === "released");
    await expect(pay(id)).rejects.toMatchObject({ type: "ORDER_NOT_PAYABLE" });
  });

  it("can't be paid once its time has ended, even before it is cancelled", async () => {
    const id = idOf(await place(PENDING));
    await db.query("UPDATE orders.orders SET reserved_until = now() WHERE id = $1", [id]);
    await expect(pay(id)).rejects.toMatchObject({ type: "ORDER_NOT_PAYABLE" });
    expect(fakes.commands).toEqual(["reserve"]);
  });

  it("outlives a job that comes too early, and that comes again", async () => {
    const id = idOf(await place(PENDING));
    const job = `pgboss.job WHERE name = 'orders-expiry' AND data->>'order_id' = '${id}'`;
    await db.query(`UPDATE ${job.replace("WHERE", "SET start_after = now() WHERE")}`);
    const stateIs = async (state: string) =>
      (await db.query(`SELECT state FROM ${job}`)).rows[0].state === state;
    await eventually(async () => await stateIs("retry"));
    expect((await get(id)).at("status")).toBe("pending");
  });

  it("keeps the payment method no longer than its payment is under way", async () => {
    const kept = async (id: string) =>
      (await db.query("SELECT FROM orders.sagas WHERE order_id = $1 AND data::text LIKE '%pm_card%'", [id]))
        .rowCount;
    const id = idOf(await place(PENDING));
    fakes.charges.push("declined");
    await expect(pay(id)).rejects.toMatchObject({ type: "PAYMENT_DECLINED" });
    expect(await kept(id)).toBe(0);
    await pay(id);
    expect(await kept(id)).toBe(0);
    fakes.charges.push("declined");
    await place(PAID);
    const { rows } = await db.query("SELECT id FROM orders.orders ORDER BY id DESC LIMIT 1");
    expect(await kept(rows[0].id)).toBe(0);
  });

  it("is cancelled when its time ends while a payment has no outcome, and the card is declined at last", async () => {
    const id = idOf(await place(PENDING));
    fakes.fail("charge", "lost", "lost", "lost");
    await expect(pay(id)).rejects.toMatchObject({ type: "ORDER_OUTCOME_UNKNOWN" });
    // That took longer than the job which would have cancelled it tries.
    await db.query("UPDATE orders.orders SET reserved_until = now() WHERE id = $1", [id]);
    await db.query("DELETE FROM pgboss.job WHERE name = 'orders-expiry' AND data->>'order_id' = $1", [id]);
    fakes.charges.push("declined");
    await driverDied(db, id);
    await eventually(async () => (await get(id)).at("status") === "cancelled");
    await eventually(async () => fakes.reservations.get(id) === "released");
  });

  it("is as young as its payment, however long it had waited", async () => {
    const id = idOf(await place(PENDING));
    await db.query("UPDATE orders.sagas SET created_at = now() - interval '10 minutes' WHERE order_id = $1", [
      id,
    ]);
    fakes.fail("charge", "lost", "lost", "lost");
    await expect(pay(id)).rejects.toMatchObject({ type: "ORDER_OUTCOME_UNKNOWN" });
    const { orders } = await shop.call("orders.audit", { limit: 1000 });
    const audited = orders.find(({ order_id }) => order_id === id);
    expect(audited?.saga).toBe("running");
    expect(audited?.saga_age_ms).toBeLessThan(60_000);
  });

  it("is the answer under its key, as it was first given, when it has been paid too", async () => {
    const options = { headers: { "idempotency-key": newId() } };
    const first = await place(PENDING, options);
    for (const paid of [false, true]) {
      if (paid) await pay(idOf(first));
      const again = await place(PENDING, options);
      expect([again.headers.get("idempotent-replayed"), again.body]).toEqual(["true", first.body]);
    }
  });

  it.each([
    ["its charge was voided", (_id: string) => fakes.charges.push("voided"), "ORDER_NOT_PAYABLE"],
    ["its stock is gone", (id: string) => fakes.reservations.set(id, "released"), "RESERVATION_RELEASED"],
  ])("waits no longer when %s", async (_, given, type) => {
    const id = idOf(await place(PENDING));
    given(id);
    await expect(pay(id)).rejects.toMatchObject({ type });
    expect((await get(id)).at("status")).toBe("cancelled");
  });

  it("can't be paid by somebody else", async () => {
    const id = idOf(await place(PENDING));
    const stranger = newId();
    await expect(
      shop.call("orders.pay", { order_id: id, user_id: stranger, payment_method: "pm_card_visa" }),
    ).rejects.toMatchObject({
      type: "NOT_FOUND",
    });
  });
});

function ordersDatabase(): Database {
  const orders: object = shop.broker.getLocalService("orders");
  if (!("db" in orders && orders.db instanceof Database)) throw new Error("orders has no database.");
  return orders.db;
}

describe("an order whose database goes away as it is written", () => {
  it("has an unknown outcome, and is there for the same key", async () => {
    const own = ordersDatabase();
    const one = own.one.bind(own);
    own.one = async <R extends object>(text: string, values?: readonly unknown[], tx?: Tx) => {
      const row = await one<R>(text, values, tx);
      if (text.includes("INSERT INTO orders.orders")) throw new Error("Connection terminated unexpectedly");
      return row;
    };
    const buyer = await givenUser(shop);
    const request = { token: buyer.token, headers: { "Idempotency-Key": newId() } };
    const unknown = await place(PAID, request).finally(() => Object.assign(own, { one }));
    expect([unknown.status, unknown.at("code")]).toEqual([504, "ORDER_OUTCOME_UNKNOWN"]);
    const placed = await db.query("SELECT id FROM orders.orders WHERE user_id = $1", [buyer.id]);
    await driverDied(db, placed.rows[0]?.id);
    await eventually(async () => (await place(PAID, request)).at("order", "status") === "confirmed");
    expect(placed.rowCount).toBe(1);
  });
});

describe("an order whose database goes away once it was charged", () => {
  it("has an unknown outcome, and is there for the same key when it has been confirmed", async () => {
    const own = ordersDatabase();
    const rows = own.rows.bind(own);
    own.rows = async <R extends object>(text: string, values?: readonly unknown[], tx?: Tx) => {
      if (fakes.commands.includes("charge")) throw new Error("Connection terminated unexpectedly");
      return await rows<R>(text, values, tx);
    };
    const buyer = await givenUser(shop);
    const request = { token: buyer.token, headers: { "Idempotency-Key": newId() } };
    const unknown = await place(PAID, request).finally(() => Object.assign(own, { rows }));
    expect([unknown.status, unknown.at("code")]).toEqual([504, "ORDER_OUTCOME_UNKNOWN"]);
    const placed = await db.query("SELECT id FROM orders.orders WHERE user_id = $1", [buyer.id]);
    await driverDied(db, placed.rows[0]?.id);
    await eventually(async () => (await place(PAID, request)).at("order", "status") === "confirmed");
    expect(fakes.captured.get(placed.rows[0]?.id)).toBe(500);
  });
});

describe("an order whose COMMIT got no answer", () => {
  /** Has the answer to whatever decides the next order of `buyer` be lost, once. */
  function loseAnswer(own: Database, buyer: string): void {
    const [transaction, one] = [own.transaction.bind(own), own.one.bind(own)];
    const lose = async () => {
      const decided = await db.query(
        "SELECT FROM orders.orders WHERE user_id = $1 AND (reserved_until IS NOT NULL OR status = 'confirmed')",
        [buyer],
      );
      if (decided.rowCount === 0) return;
      Object.assign(own, { transaction, one });
      throw new Error("the connection was lost");
    };
    own.transaction = async (work) => {
      const result = await transaction(work);
      await lose();
      return result;
    };
    own.one = async <R extends object>(text: string, values?: readonly unknown[], tx?: Tx) => {
      const row = await one<R>(text, values, tx);
      if (!tx) await lose();
      return row;
    };
  }

  it.each([
    ["waits for its payment", PENDING, "pending", "order.placed"],
    ["is paid", PAID, "confirmed", "order.confirmed"],
  ])("%s, and is told of once", async (_, body, status, event) => {
    const buyer = await givenUser(shop);
    loseAnswer(ordersDatabase(), buyer.id);
    const answer = await place(body, { token: buyer.token });
    expect([answer.status, answer.at("order", "status")]).toEqual([201, status]);
    const { rows } = await db.query(
      `SELECT s.last_error, (SELECT jsonb_agg(DISTINCT jsonb_build_array(e->>'event', e->>'event_id'))
         FROM (SELECT data->'envelope' AS e FROM kept_jobs) j WHERE e->'data'->>'order_id' = s.order_id::text) AS told,
         (SELECT count(*)::integer FROM kept_jobs WHERE name = 'orders-expiry' AND data->>'order_id' = s.order_id::text) AS expiries
       FROM orders.sagas s WHERE s.order_id = $1`,
      [idOf(answer)],
    );
    const last_error = expect.stringContaining("the connection was lost");
    const expiries = status === "pending" ? 1 : 0;
    expect(rows).toEqual([{ last_error, told: [[event, expect.any(String)]], expiries }]);
  });
});
