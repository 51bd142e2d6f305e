import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { adminToken, eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/**
 * A backup's messages are a little younger than its rows, so a restored shop does again what its customers were told of
 * already. Here the rows are put back by hand.
 */

let shop: Shop;
let admin: string;
let buyer: TestUser;
beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
  buyer = await givenUser(shop);
});
afterAll(async () => await shop?.stop());

/** @returns its ids */
async function givenOrder(): Promise<{ order: string; payment: string }> {
  const product_id = await givenProduct(shop, admin, { price: 10, stock_quantity: 10 });
  const body = {
    items: [{ product_id, quantity: 1 }],
    shipping_address: "12 Analytical Row",
    payment_method: "pm_card_visa",
  };
  const answer = await send(shop, "POST", "/api/orders", body, { token: buyer.token });
  expect(answer.status).toBe(201);
  return { order: String(answer.at("order", "id")), payment: String(answer.at("order", "payment", "id")) };
}

/** What the buyer was told and mailed of an order, and what the admin's figures have of it, once nothing is on its way. */
async function toldOf(order: string) {
  await eventually(async () => {
    const underWay = `SELECT id FROM pgboss.job
      WHERE name LIKE 'events-%' AND data->'envelope'->'data'->>'order_id' = $1`;
    return (await runSql(shop, underWay, [order])).length === 0;
  });
  const told = await shop.call("notifications.audit", { order_ids: [order] });
  const mails = await send(shop, "GET", `/api/admin/outbox?to=${buyer.email}&limit=100`, undefined, {
    token: admin,
  });
  const summary = await send(shop, "GET", "/api/analytics/summary", undefined, { token: admin });
  const figures = ["revenue", "gross_revenue", "refunded", "orders", "cancelled_orders"];
  return {
    told,
    mails: mails.at("pagination", "total"),
    figures: figures.map((name) => summary.at(name)),
  };
}

it("an order that is moved again is told of once", async () => {
  const { order } = await givenOrder();
  const ship = async () => {
    for (const status of ["processing", "shipped"]) {
      const moved = await send(shop, "PUT", `/api/orders/${order}/status`, { status }, { token: admin });
      expect(moved.status).toBe(200);
    }
    return await toldOf(order);
  };
  const first = await ship();
  expect(first.told.map(({ type, count }) => [type, count])).toContainEqual(["order.shipped", 1]);
  await runSql(shop, "UPDATE orders.orders SET status = 'confirmed' WHERE id = $1", [order]);
  expect(await ship()).toEqual(first);
});

it("money that goes back again is told of once", async () => {
  const { order, payment } = await givenOrder();
  const cancel = async () => {
    const answer = await send(shop, "POST", `/api/orders/${order}/cancel`, {}, { token: buyer.token });
    expect(answer.status).toBe(200);
    return await toldOf(order);
  };
  const first = await cancel();
  expect(first.told.map(({ type, count }) => [type, count])).toEqual(
    expect.arrayContaining([
      ["order.cancelled", 1],
      ["payment.refunded", 1],
    ]),
  );
  for (const [table, id] of [
    ["payments.refunds WHERE payment_id", payment],
    ["payments.cancelled_orders WHERE order_id", order],
  ])
    await runSql(shop, `DELETE FROM ${table} = $1`, [id]);
  await runSql(shop, "UPDATE payments.payments SET status = 'captured', refunded = 0 WHERE id = $1", [
    payment,
  ]);
  await runSql(shop, "UPDATE orders.orders SET status = 'confirmed', refunded = 0 WHERE id = $1", [order]);
  expect(await cancel()).toEqual(first);
});
