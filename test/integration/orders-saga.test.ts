import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { Client } from "pg";
import {
  type Answer,
  adminToken,
  eventually,
  type RequestOptions,
  send,
  type TestUser,
} from "../helpers/client.ts";
import { refundEvent } from "../helpers/envelopes.ts";
import { driverDied, idOf, startOrders } from "../helpers/orders.ts";
import { FakeParticipants } from "../helpers/participants.ts";
import type { Shop } from "../helpers/shop.ts";

const fakes = new FakeParticipants();
let shop: Shop;
let db: Client;
let user: TestUser;

beforeAll(async () => {
  ({ shop, db, user } = await startOrders(fakes));
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

const ITEMS = [{ product_id: 3, quantity: 2 }];
const order = (body: object = {}, options: RequestOptions = {}) =>
  send(
    shop,
    "POST",
    "/api/orders",
    { shipping_address: "12 Analytical Row", items: ITEMS, ...body },
    { token: user.token, ...options },
  );
const paid = { payment_method: "pm_card_visa" };
const get = (id: string) => send(shop, "GET", `/api/orders/${id}`, undefined, { token: user.token });

async function newestOrder(): Promise<Answer> {
  const list = await send(shop, "GET", "/api/orders?limit=1", undefined, { token: user.token });
  return await get(String(list.at("orders", 0, "id")));
}

describe("a checkout with its payment", () => {
  it("reserves, charges, confirms and commits", async () => {
    const answer = await order(paid);
    expect(answer.status).toBe(201);
    expect(answer.at("order", "status")).toBe("confirmed");
    expect(answer.at("order", "total_amount")).toBe(6);
    expect(answer.at("order", "payment", "status")).toBe("captured");
    expect(fakes.commands).toEqual(["reserve", "charge", "commit"]);
    expect(answer.at("order", "history", 1)).toMatchObject({
      from: "pending",
      to: "confirmed",
      by: "customer",
    });
  });

  it("leaves no job and no live saga behind", async () => {
    const id = idOf(await order(paid));
    const { rows } = await db.query(
      `SELECT s.state, (SELECT count(*)::int FROM pgboss.job j WHERE j.id = s.job_id) AS jobs, s.data
       FROM orders.sagas s WHERE s.order_id = $1`,
      [id],
    );
    expect(rows).toEqual([{ state: "done", jobs: 0, data: { actor: "customer" } }]);
  });
});

describe("compensation", () => {
  it("reserve refused: the order is cancelled, nothing was charged or released", async () => {
    fakes.stock.set(3, 1);
    const answer = await order(paid);
    fakes.stock.delete(3);
    expect(answer.status).toBe(409);
    expect(answer.at("code")).toBe("INSUFFICIENT_STOCK");
    expect(answer.at("details", "items", 0)).toEqual({ product_id: 3, requested: 2, available: 1 });
    expect(fakes.commands).toEqual(["reserve"]);
    expect((await newestOrder()).body).toMatchObject({
      status: "cancelled",
      cancel_reason: "insufficient_stock",
    });
  });

  for (const [outcome, status, code] of [
    ["declined", 402, "PAYMENT_DECLINED"],
    ["invalid_method", 422, "INVALID_PAYMENT_METHOD"],
    ["unavailable", 503, "PAYMENT_PROVIDER_UNAVAILABLE"],
    ["voided", 409, "ORDER_NOT_PAYABLE"],
  ] as const) {
    it(`charge ${outcome}: the charge is voided, the stock released, the order cancelled`, async () => {
      fakes.charges.push(outcome);
      const answer = await order(paid);
      expect(answer.status).toBe(status);
      expect(answer.at("code")).toBe(code);
      expect(fakes.commands).toEqual(["reserve", "charge", "cancelOrder", "release"]);
      const made = await newestOrder();
      expect(made.body).toMatchObject({
        status: "cancelled",
        cancel_reason: code.toLowerCase(),
        payment: null,
      });
      expect(fakes.reservations.get(String(made.at("id")))).toBe("released");
    });
  }

  it("an undo that gets no answer is asked again", async () => {
    fakes.charges.push("declined");
    fakes.fail("release", "unanswered");
    expect((await order(paid)).status).toBe(402);
    expect(fakes.commands.filter((command) => command === "release")).toHaveLength(2);
  });

  it("an undo that keeps failing is left to the job, which ends it", async () => {
    fakes.charges.push("declined");
    fakes.fail("release", "lost", "lost", "lost");
    const answer = await order(paid);
    expect(answer.status).toBe(504);
    const id = String((await newestOrder()).at("id"));
    await driverDied(db, id);
    await eventually(async () => (await get(id)).at("status") === "cancelled");
    expect(fakes.reservations.get(id)).toBe("released");
  });
});

describe("an unknown outcome", () => {
  it("a charge that captured without an answer is asked for again, and charged once", async () => {
    fakes.fail("charge", "unanswered");
    const answer = await order(paid);
    expect(answer.status).toBe(201);
    expect(fakes.commands).toEqual(["reserve", "charge", "charge", "commit"]);
    expect(fakes.captured.get(idOf(answer))).toBe(600);
  });

  it("is never compensated; the job finishes the order", async () => {
    fakes.fail("charge", "unanswered", "lost", "lost");
    const answer = await order(paid);
    expect(answer.status).toBe(504);
    expect(answer.at("code")).toBe("ORDER_OUTCOME_UNKNOWN");
    expect(fakes.commands).not.toContain("release");
    const id = String((await newestOrder()).at("id"));
    await driverDied(db, id);
    await eventually(async () => (await get(id)).at("status") === "confirmed");
    expect(fakes.captured.get(id)).toBe(600);
    expect(fakes.reservations.get(id)).toBe("committed");
  });

  it("an order that is confirmed is committed later if the commit gets no answer", async () => {
    fakes.fail("commit", "lost", "lost", "lost");
    const answer = await order(paid);
    expect(answer.status).toBe(504);
    const made = await newestOrder();
    expect(made.at("status")).toBe("confirmed");
    await driverDied(db, String(made.at("id")));
    await eventually(async () => fakes.reservations.get(String(made.at("id"))) === "committed");
  });

  it("a charge that captured without an answer and was refunded meanwhile ends as a cancelled order", async () => {
    fakes.fail("charge", "unanswered", "lost", "lost");
    expect((await order(paid)).status).toBe(504);
    const id = String((await newestOrder()).at("id"));
    const amounts = { amount: 600, refunded_total: 600, captured: 600 };
    const event = refundEvent({ order_id: id, user_id: user.id, ...amounts });
    const tell = () => shop.call("orders.onPaymentRefunded", event);
    // Not taken yet, so it is told again.
    await expect(tell()).rejects.toMatchObject({ type: "ORDER_IN_PROGRESS" });
    await driverDied(db, id);
    await eventually(async () => fakes.reservations.get(id) === "committed");
    await eventually(async () => (await tell().catch(() => "in progress")) === null);
    expect((await get(id)).body).toMatchObject({ status: "cancelled", refunded_amount: 6 });
    expect(fakes.reservations.get(id)).toBe("returned");
  });

  it("a saga that gets no answer too often is parked, and an admin can redrive it", async () => {
    fakes.fail("charge", "lost", "lost", "lost");
    expect((await order(paid)).status).toBe(504);
    const id = String((await newestOrder()).at("id"));
    await db.query("UPDATE orders.sagas SET state = 'parked' WHERE order_id = $1", [id]);
    const admin = { token: await adminToken(shop) };
    const listed = await send(shop, "GET", "/api/admin/sagas?state=parked", undefined, admin);
    expect(listed.at("sagas", 0)).toMatchObject({ order_id: id, state: "parked", kind: "checkout" });
    const redriven = await send(shop, "POST", `/api/admin/sagas/${id}/redrive`, {}, admin);
    expect(redriven.body).toMatchObject({ order_id: id, state: "done" });
    expect((await get(id)).at("status")).toBe("confirmed");
  });

  it("a saga that is parked on its way back goes on with the undoing when it is redriven", async () => {
    fakes.charges.push("declined");
    fakes.fail("release", "lost", "lost", "lost");
    expect((await order(paid)).status).toBe(504);
    const id = String((await newestOrder()).at("id"));
    await db.query("UPDATE orders.sagas SET state = 'parked' WHERE order_id = $1", [id]);
    fakes.commands.length = 0;
    const admin = { token: await adminToken(shop) };
    const redriven = await send(shop, "POST", `/api/admin/sagas/${id}/redrive`, {}, admin);
    expect(redriven.body).toMatchObject({ order_id: id, state: "undone" });
    expect(fakes.commands).toEqual(["cancelOrder", "release"]);
  });
});

describe("a job that was given up", () => {
  it("leaves its saga parked, for an admin to redrive", async () => {
    fakes.fail("charge", "lost", "lost", "lost", "lost");
    expect((await order(paid)).status).toBe(504);
    const id = String((await newestOrder()).at("id"));
    await db.query(
      `UPDATE pgboss.job SET retry_count = retry_limit
       WHERE name = 'orders-saga' AND id = (SELECT job_id FROM orders.sagas WHERE order_id = $1)`,
      [id],
    );
    await driverDied(db, id);
    const admin = { token: await adminToken(shop) };
    await eventually(async () => {
      const parked = await send(shop, "GET", "/api/admin/sagas?state=parked", undefined, admin);
      return parked.at("sagas", 0, "order_id") === id;
    });
    const redriven = await send(shop, "POST", `/api/admin/sagas/${id}/redrive`, {}, admin);
    expect(redriven.body).toMatchObject({ order_id: id, state: "done" });
  });

  it("was tried as often as there was no answer, however many drivers asked", async () => {
    fakes.fail("charge", "lost", "lost", "lost", "lost", "lost");
    expect((await order(paid)).status).toBe(504);
    const id = String((await newestOrder()).at("id"));
    const tries = async () => {
      const { rows } = await db.query("SELECT attempts FROM orders.sagas WHERE order_id = $1", [id]);
      return Number(rows[0].attempts);
    };
    for (const expected of [4, 5]) {
      await driverDied(db, id);
      await eventually(async () => (await tries()) >= expected);
      expect(await tries()).toBe(expected);
    }
  });
});

describe("a driver that was frozen past its lease", () => {
  it.each([
    ["reserve", "captured", {}],
    ["charge", "captured", paid],
    ["charge", "declined", paid],
    ["release", "declined", paid],
    ["commit", "captured", paid],
  ] as const)(
    "writes nothing of its %s (%s): another has taken over, and ends it",
    async (step, outcome, body) => {
      const goOn = fakes.hold(step);
      fakes.charges.push(outcome);
      const answer = order(body);
      await eventually(async () => fakes.commands.includes(step));
      const id = String((await newestOrder()).at("id"));
      const saga = async () =>
        (await db.query("SELECT state, step, data, fence FROM orders.sagas WHERE order_id = $1", [id]))
          .rows[0];
      await db.query(
        "UPDATE orders.sagas SET fence = fence + 1, lease_until = now() + interval '1 hour' WHERE order_id = $1",
        [id],
      );
      const asked = [...fakes.commands];
      const before = [(await get(id)).body, await saga()];
      goOn();
      expect((await answer).at("code")).toBe("ORDER_OUTCOME_UNKNOWN");
      expect([(await get(id)).body, await saga()]).toEqual(before);
      expect(fakes.commands).toEqual(asked);
      await driverDied(db, id);
      await eventually(async () => ["done", "undone", "waiting"].includes((await saga()).state));
    },
  );

  it("is refused whatever it writes from the moment its saga's job takes over", async () => {
    const goOn = fakes.hold("charge");
    const answer = order(paid);
    await eventually(async () => fakes.commands.includes("charge"));
    const id = String((await newestOrder()).at("id"));
    await driverDied(db, id);
    await eventually(async () => fakes.commands.filter((command) => command === "charge").length === 2);
    goOn();
    expect((await answer).at("code")).toBe("ORDER_OUTCOME_UNKNOWN");
    await eventually(async () => (await get(id)).at("status") === "confirmed");
  });
});
