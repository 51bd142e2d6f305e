import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { adminToken, givenUser, send, type TestUser } from "../helpers/client.ts";
import { idOf, ordersOf, PAID, PENDING } from "../helpers/orders.ts";
import { FakeParticipants } from "../helpers/participants.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const fakes = new FakeParticipants();
let shop: Shop;
let user: TestUser;
let stranger: TestUser;
let admin: string;

beforeAll(async () => {
  shop = await startShop({ replace: fakes.services() });
  [user, stranger, admin] = await Promise.all([givenUser(shop), givenUser(shop), adminToken(shop)]);
});
afterAll(async () => await shop?.stop());

const { place, get, givenOrder } = ordersOf(() => ({ shop, user }));
const setStatus = (id: string, status: string, token = admin, more: object = {}) =>
  send(shop, "PUT", `/api/orders/${id}/status`, { status, ...more }, { token });

describe("reading orders", () => {
  it("lists one's own, newest first, by status and page", async () => {
    const buyer = await givenUser(shop);
    const ids: string[] = [];
    for (const body of [PENDING, PAID, PAID]) ids.unshift(idOf(await place(body, { token: buyer.token })));
    const list = await get("/api/orders?limit=2", buyer.token);
    expect(list.at("pagination")).toEqual({ page: 1, limit: 2, total: 3, pages: 2 });
    expect([list.at("orders", 0, "id"), list.at("orders", 1, "id")]).toEqual(ids.slice(0, 2));
    const pending = await get("/api/orders?status=pending", buyer.token);
    expect(pending.at("orders", 0, "id")).toBe(ids[2]);
    expect(pending.at("pagination", "total")).toBe(1);
    expect((await get("/api/orders?status=lost", buyer.token)).status).toBe(422);
    expect((await get("/api/orders?limit=101", buyer.token)).status).toBe(422);
  });

  it("shows an order and its history to its user and to admins only", async () => {
    const id = await givenOrder();
    for (const path of [`/api/orders/${id}`, `/api/orders/${id}/history`]) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, stranger.token)).status).toBe(404);
      expect((await get(path, user.token)).status).toBe(200);
      expect((await get(path, admin)).status).toBe(200);
    }
    expect((await get(`/api/orders/${newId()}`, user.token)).status).toBe(404);
    expect((await get("/api/orders/nonsense", user.token)).status).toBe(422);
  });

  it("lists everybody's for admins only, by user and time", async () => {
    const buyer = await givenUser(shop);
    const id = idOf(await place(PAID, { token: buyer.token }));
    for (const path of ["/api/orders/all", `/api/orders/user/${buyer.id}`]) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, user.token)).status).toBe(403);
    }
    expect((await get(`/api/orders/user/${buyer.id}`, admin)).at("orders", 0, "id")).toBe(id);
    expect(
      (await get(`/api/orders/all?user_id=${buyer.id}&from=2020-01-01T00:00:00Z`, admin)).at(
        "pagination",
        "total",
      ),
    ).toBe(1);
    expect(
      (await get(`/api/orders/all?user_id=${buyer.id}&to=2020-01-01T00:00:00Z`, admin)).at(
        "pagination",
        "total",
      ),
    ).toBe(0);
    const at = (await get(`/api/orders/${id}`, admin)).at("created_at");
    const found = async (query: string) =>
      (await get(`/api/orders/all?user_id=${buyer.id}&${query}`, admin)).at("pagination", "total");
    expect([await found(`from=${at}`), await found(`to=${at}`)]).toEqual([1, 0]);
    expect((await get("/api/orders/all?from=yesterday", admin)).status).toBe(422);
    expect((await get("/api/orders/all?from=0001-01-01T00:00:00Z", admin)).status).toBe(422);
    // A time zone that ISO 8601 allows and Postgres doesn't know.
    expect((await get("/api/orders/all?from=2546-05-24T14:09:38.9%2B21:08", admin)).status).toBe(200);
  });
});

describe("an order's way", () => {
  it("is confirmed → processing → shipped → delivered, with each change in its history", async () => {
    const id = await givenOrder();
    for (const status of ["processing", "shipped", "delivered"]) {
      const answer = await setStatus(id, status);
      expect([answer.status, answer.at("status")]).toEqual([200, status]);
    }
    const { body } = await get(`/api/orders/${id}/history`, user.token);
    expect(body.history).toMatchObject([
      { from: null, to: "pending", by: "customer" },
      { from: "pending", to: "confirmed", by: "customer" },
      { from: "confirmed", to: "processing", by: "admin" },
      { from: "processing", to: "shipped", by: "admin" },
      { from: "shipped", to: "delivered", by: "admin" },
    ]);
  });

  it("can be confirmed by an admin without a payment, and is committed then", async () => {
    const id = await givenOrder(PENDING);
    const answer = await setStatus(id, "confirmed", admin, { reason: "paid by bank transfer" });
    expect([answer.status, answer.at("status"), answer.at("payment")]).toEqual([200, "confirmed", null]);
    expect(answer.at("history", 1)).toMatchObject({ by: "admin", reason: "paid by bank transfer" });
    expect(fakes.reservations.get(id)).toBe("committed");
  });

  it("takes no other step, and says which it takes", async () => {
    const id = await givenOrder();
    for (const status of ["pending", "confirmed", "shipped", "delivered", "refunded"]) {
      const answer = await setStatus(id, status);
      expect([answer.status, answer.at("code")]).toEqual([409, "INVALID_TRANSITION"]);
      expect(answer.at("details", "allowed")).toEqual(["processing", "cancelled"]);
    }
    expect((await setStatus(id, "lost")).status).toBe(422);
  });

  it("is moved once by ten admins at once", async () => {
    const id = await givenOrder();
    const answers = await Promise.all(Array.from({ length: 10 }, () => setStatus(id, "processing")));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 409)).toHaveLength(9);
  });

  it("is set by admins only", async () => {
    const id = await givenOrder();
    expect((await setStatus(id, "processing", user.token)).status).toBe(403);
    expect((await send(shop, "PUT", `/api/orders/${id}/status`, { status: "processing" })).status).toBe(401);
    expect((await setStatus(newId(), "processing")).status).toBe(404);
  });

  it("ends as refunded when an admin refunds what has shipped", async () => {
    const id = await givenOrder();
    await setStatus(id, "processing");
    await setStatus(id, "shipped");
    const answer = await setStatus(id, "refunded");
    expect(answer.body).toMatchObject({ status: "refunded", refunded_amount: 5 });
    expect(fakes.captured.get(id)).toBe(0);
    expect(fakes.reservations.get(id)).toBe("committed");
  });
});

describe("POST /orders/:id/cancel", () => {
  const cancel = (id: string, token?: string, body: object = {}) =>
    send(shop, "POST", `/api/orders/${id}/cancel`, body, token === undefined ? {} : { token });

  it("refunds what was captured and gives the stock back", async () => {
    const id = await givenOrder();
    const answer = await cancel(id, user.token, { reason: "changed my mind" });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      status: "cancelled",
      cancel_reason: "changed my mind",
      refunded_amount: 5,
    });
    expect(fakes.captured.get(id)).toBe(0);
    expect(fakes.reservations.get(id)).toBe("returned");
  });

  it("releases an order that waits for its payment", async () => {
    const id = await givenOrder(PENDING);
    expect((await cancel(id, user.token)).at("status")).toBe("cancelled");
    expect(fakes.reservations.get(id)).toBe("released");
  });

  it("is refused once it has shipped, and a second time", async () => {
    const shipped = await givenOrder();
    await setStatus(shipped, "processing");
    await setStatus(shipped, "shipped");
    expect((await cancel(shipped, user.token)).status).toBe(409);
    const cancelled = await givenOrder();
    await cancel(cancelled, user.token);
    expect((await cancel(cancelled, user.token)).at("code")).toBe("INVALID_TRANSITION");
  });

  it("is for its user and admins only", async () => {
    const id = await givenOrder();
    expect((await cancel(id)).status).toBe(401);
    expect((await cancel(id, stranger.token)).status).toBe(404);
    expect((await cancel(id, user.token, { reason: "x".repeat(501) })).status).toBe(422);
    const answer = await cancel(id, admin);
    expect(answer.at("history", 2)).toMatchObject({ by: "admin", reason: "cancelled_by_admin" });
  });

  it("against a payment of the same moment, ends with nothing captured or with the order paid, never both", async () => {
    for (let round = 0; round < 10; round++) {
      const id = await givenOrder(PENDING);
      const paying = shop
        .call("orders.pay", { order_id: id, user_id: user.id, payment_method: "pm_card_visa" })
        .then(
          () => true,
          () => false,
        );
      const [paid, cancelled] = await Promise.all([paying, cancel(id, user.token)]);
      const { body } = await get(`/api/orders/${id}`, user.token);
      if (cancelled.status === 200)
        expect([body.status, fakes.captured.get(id) ?? 0]).toEqual(["cancelled", 0]);
      else expect([paid, body.status, fakes.captured.get(id)]).toEqual([true, "confirmed", 500]);
    }
  });
});

describe("a refund of the payment", () => {
  const refunded = (order_id: string, refunded_total: number) =>
    shop.call("orders.onPaymentRefunded", {
      event_id: newId(),
      event: "payment.refunded",
      occurred_at: new Date().toISOString(),
      data: {
        refund_id: newId(),
        payment_id: newId(),
        order_id,
        user_id: user.id,
        amount: refunded_total,
        refunded_total,
        captured: 500,
        currency: "EUR",
        reason: "damaged",
      },
    });

  it("in part is noted, and late or repeated news change nothing", async () => {
    const id = await givenOrder();
    await refunded(id, 200);
    await refunded(id, 100);
    expect((await get(`/api/orders/${id}`, user.token)).body).toMatchObject({
      status: "confirmed",
      refunded_amount: 2,
      payment: { status: "partially_refunded" },
    });
  });

  it("in whole makes a delivered order refunded", async () => {
    const id = await givenOrder();
    for (const status of ["processing", "shipped", "delivered"]) await setStatus(id, status);
    await refunded(id, 500);
    await refunded(id, 500);
    const { body } = await get(`/api/orders/${id}`, user.token);
    expect(body).toMatchObject({ status: "refunded", payment: { status: "refunded" } });
    expect(body.history).toHaveLength(6);
  });

  it("in whole cancels what has not shipped, and gives the stock back", async () => {
    const id = await givenOrder();
    await refunded(id, 500);
    expect((await get(`/api/orders/${id}`, user.token)).at("status")).toBe("cancelled");
    expect(fakes.reservations.get(id)).toBe("returned");
  });
});
