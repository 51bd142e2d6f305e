import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Client } from "pg";
import { adminToken, eventually, send, type TestUser } from "../helpers/client.ts";
import { driverDied, ordersOf, PAID, startOrders } from "../helpers/orders.ts";
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

const { place, get, givenOrder } = ordersOf(() => ({ shop, user }));

describe("a refund that the provider refuses", () => {
  const cancel = (id: string) =>
    send(shop, "POST", `/api/orders/${id}/cancel`, { reason: "x" }, { token: user.token });

  it("leaves the order cancelled, as its customer is told, and is asked for again by the job", async () => {
    const id = await givenOrder(PAID);
    fakes.fail("cancelOrder", "refused", "refused", "refused");
    expect(await cancel(id)).toMatchObject({ status: 200, body: { status: "cancelled" } });
    expect(fakes.captured.get(id)).toBe(500);
    await driverDied(db, id);
    await eventually(async () => fakes.reservations.get(id) === "returned");
    expect(fakes.captured.get(id)).toBe(0);
    expect((await get(`/api/orders/${id}`, user.token)).body).toMatchObject({
      status: "cancelled",
      refunded_amount: 5,
    });
  });

  it("for too long parks the saga, and an admin who redrives it has it asked for again", async () => {
    const id = await givenOrder(PAID);
    fakes.fail("cancelOrder", "refused", "refused", "refused");
    await cancel(id);
    await db.query("UPDATE orders.sagas SET state = 'parked' WHERE order_id = $1 AND kind = 'closing'", [id]);
    const admin = { token: await adminToken(shop) };
    const listed = await send(shop, "GET", "/api/admin/sagas?state=parked", undefined, admin);
    expect(listed.at("sagas", 0)).toMatchObject({
      order_id: id,
      last_error: expect.stringMatching(/refund: .*refuses/),
    });
    const redriven = await send(shop, "POST", `/api/admin/sagas/${id}/redrive`, {}, admin);
    expect(redriven.body).toMatchObject({ order_id: id, state: "done" });
    expect(fakes.captured.get(id)).toBe(0);
    expect(fakes.reservations.get(id)).toBe("returned");
  });

  it("on a checkout's way back is asked for again, too: its outcome is unknown", async () => {
    fakes.charges.push("declined");
    fakes.fail("cancelOrder", "refused", "refused", "refused");
    expect(await place(PAID)).toMatchObject({ status: 504, body: { code: "ORDER_OUTCOME_UNKNOWN" } });
    const id = String((await get("/api/orders?limit=1", user.token)).at("orders", 0, "id"));
    await driverDied(db, id);
    await eventually(async () => (await get(`/api/orders/${id}`, user.token)).at("status") === "cancelled");
    expect(fakes.reservations.get(id)).toBe("released");
  });
});
