import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { verifyShop } from "../../services/gateway/verify.ts";
import { adminToken, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** What `verify` says of orders of a real shop, after one of their rows was changed behind its back. */

let shop: Shop;
let admin: string;
let buyer: TestUser;
let items: { product_id: number; quantity: number }[];

beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
  buyer = await givenUser(shop);
  const first = await givenProduct(shop, admin, { stock_quantity: 1000 });
  const second = await givenProduct(shop, admin, { stock_quantity: 1000 });
  items = [
    { product_id: second, quantity: 3 },
    { product_id: first, quantity: 2 },
  ];
});
afterAll(async () => await shop?.stop());

const PAID = { payment_method: "pm_card_visa" };

/** An order of two products. @returns its id */
async function givenOrder(fields: object): Promise<string> {
  const body = { items, shipping_address: "12 Analytical Row", ...fields };
  const answer = await send(shop, "POST", "/api/orders", body, { token: buyer.token });
  expect([answer.status, answer.at("code")]).toEqual([201, undefined]);
  return String(answer.at("order", "id"));
}

async function move(id: string, status: string): Promise<void> {
  const answer = await send(shop, "PUT", `/api/orders/${id}/status`, { status }, { token: admin });
  expect(answer.status).toBe(200);
}

/** An order that was brought as far as this status by the shop itself. @returns its id */
async function givenOrderThatIs(status: string): Promise<string> {
  const id = await givenOrder(status === "pending" ? {} : PAID);
  const LINE = ["confirmed", "processing", "shipped", "delivered"];
  const way = status === "cancelled" ? ["cancelled"] : LINE.slice(1, LINE.indexOf(status) + 1);
  for (const step of status === "refunded" ? [...LINE.slice(1), "refunded"] : way) await move(id, step);
  return id;
}

/** A confirmed order without a payment, which an admin took on. @returns its id */
async function givenOfflineOrder(): Promise<string> {
  const id = await givenOrder({});
  await move(id, "confirmed");
  return id;
}

/** What verify finds about one order: `I4: Order … <what>`. */
async function foundOf(id: string): Promise<string[]> {
  const report = await verifyShop({ broker: shop.broker, name: "test" }, 1);
  return report.invariants.flatMap(({ violations }) =>
    violations
      .filter(({ row }) => row.order_id === id)
      .map(({ invariant, message }) => `${invariant}: ${message.replace(/MC-\d+/, "MC-…")}`),
  );
}

const RESERVATION = (state: string) =>
  `UPDATE inventory.reservations SET state = '${state}',
     expires_at = ${state === "reserved" ? "now() + interval '1 hour'" : "NULL"} WHERE order_id = $1`;
const LOST = `WITH items AS (DELETE FROM inventory.reservation_items WHERE order_id = $1 RETURNING order_id)
  DELETE FROM inventory.reservations WHERE order_id = $1`;
const FEWER = `UPDATE inventory.reservation_items SET quantity = quantity - 1
  WHERE order_id = $1 AND product_id = (SELECT max(product_id) FROM orders.items WHERE order_id = $1)`;
const ONE_LESS = `DELETE FROM inventory.reservation_items
  WHERE order_id = $1 AND product_id = (SELECT max(product_id) FROM orders.items WHERE order_id = $1)`;

describe("an order and its reservation", () => {
  const STATUSES = ["pending", "confirmed", "processing", "shipped", "delivered", "refunded", "cancelled"];
  it.each(STATUSES)("agree, when the shop made it %s", async (status) => {
    expect(await foundOf(await givenOrderThatIs(status))).toEqual([]);
  });

  const FAULTS: [status: string, what: string, sql: string, found: string][] = [
    ["confirmed", "released", RESERVATION("released"), "is confirmed and its units are not sold"],
    ["shipped", "returned", RESERVATION("returned"), "is shipped and its units are not sold"],
    ["delivered", "never committed", RESERVATION("reserved"), "is delivered and its units are not sold"],
    ["refunded", "returned", RESERVATION("returned"), "is refunded and its units are not sold"],
    ["processing", "lost", LOST, "is processing and its units are not sold"],
    ["confirmed", "of fewer units", FEWER, "is confirmed and other units are sold than it has"],
    ["confirmed", "of fewer products", ONE_LESS, "is confirmed and other units are sold than it has"],
    ["pending", "released", RESERVATION("released"), "is pending and its units are not reserved"],
    ["pending", "committed", RESERVATION("committed"), "is pending and its units are not reserved"],
    ["pending", "of fewer units", FEWER, "is pending and other units are reserved than it has"],
    ["cancelled", "still live", RESERVATION("reserved"), "is cancelled and its units are still reserved"],
    ["cancelled", "still sold", RESERVATION("committed"), "is cancelled and its units are still sold"],
  ];
  it.each(FAULTS)("that is %s, and it was %s", async (status, _what, sql, found) => {
    const id = await givenOrderThatIs(status);
    await runSql(shop, sql, [id]);
    expect(await foundOf(id)).toEqual([`I4: Order MC-… ${found}.`]);
  });
});

describe("an order that does not exist", () => {
  const GONE = "DELETE FROM orders.orders WHERE id = $1";
  const CAPTURED = "I2: An order that does not exist captured 149.95.";
  const has = (what: string) => `I4: An order that does not exist has units ${what}.`;

  it.each([
    ["confirmed", [CAPTURED, has("sold")]],
    ["refunded", [CAPTURED, has("sold")]],
    ["pending", [has("reserved")]],
    ["cancelled", [CAPTURED]],
  ])("and was %s, had a sale: before others, between them and after them", async (status, found) => {
    const gone = await givenOrderThatIs(status);
    if (status !== "pending") await givenOrderThatIs("confirmed");
    await runSql(shop, GONE, [gone]);
    expect(await foundOf(gone)).toEqual(found);
  });

  it("had none, if it was never paid and its units came back", async () => {
    const gone = await givenOrder({});
    await move(gone, "cancelled");
    await runSql(shop, GONE, [gone]);
    expect(await foundOf(gone)).toEqual([]);
  });
});

describe("an order without a payment", () => {
  it("is in order when an admin confirmed it, whatever becomes of it", async () => {
    const ids = [await givenOfflineOrder(), await givenOfflineOrder(), await givenOfflineOrder()];
    await move(ids[1] ?? "", "cancelled");
    for (const status of ["processing", "shipped", "refunded"]) await move(ids[2] ?? "", status);
    expect(await Promise.all(ids.map(foundOf))).toEqual([[], [], []]);
  });

  const FAULTS: [what: string, status: string, sql: string][] = [
    ["the customer", "confirmed", "UPDATE orders.history SET actor = 'customer' WHERE order_id = $1"],
    ["nobody", "confirmed", "DELETE FROM orders.history WHERE order_id = $1 AND to_status = 'confirmed'"],
    [
      "the shop",
      "processing",
      "UPDATE orders.history SET actor = 'system' WHERE order_id = $1 AND to_status = 'confirmed'",
    ],
  ];
  it.each(FAULTS)("is not, when %s confirmed it", async (_who, status, sql) => {
    const id = await givenOfflineOrder();
    if (status !== "confirmed") await move(id, status);
    await runSql(shop, sql, [id]);
    expect(await foundOf(id)).toEqual([
      `I2: Order MC-… is ${status} without a payment, and no admin confirmed it.`,
    ]);
  });
});
