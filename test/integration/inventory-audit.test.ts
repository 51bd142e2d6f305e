import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { inSeconds, inventoryOf, one, runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let stock: ReturnType<typeof inventoryOf>;

beforeAll(async () => {
  shop = await startShop();
  stock = inventoryOf(shop);
  // What the service can't do and the database refuses, these tests do all the same.
  await runSql(
    shop,
    `ALTER TABLE inventory.levels DROP CONSTRAINT levels_no_oversell, DROP CONSTRAINT levels_nothing_lost`,
  );
});
afterAll(async () => {
  await shop.stop();
});

/** The violations of one product or order. */
async function violationsOf(name: "product_id" | "order_id", id: number | string) {
  const { violations } = await stock.audit();
  return violations.filter(({ row }) => row[name] === id);
}

const setLevel = (product_id: number, set: string) =>
  runSql(shop, `UPDATE inventory.levels SET ${set} WHERE product_id = $1`, [product_id]);

test("finds nothing where orders came and went, and counts what it looked at", async () => {
  const products = [await stock.stocked(5), await stock.stocked(5)];
  const before = await stock.audit();
  const [kept, sold, released, returned] = await Promise.all(
    Array.from({ length: 4 }, () => stock.reserved(...products.map(one))),
  );
  for (const order_id of [sold, returned]) await stock.commit(String(order_id));
  await stock.release(String(released));
  await stock.giveBack(String(returned));
  for (const id of products) expect(await violationsOf("product_id", id)).toEqual([]);
  for (const id of [kept, sold, released, returned])
    expect(await violationsOf("order_id", String(id))).toEqual([]);
  await stock.stocked(1);
  expect((await stock.audit()).checked).toBe(before.checked + 1);
});

test("I1: finds an oversold level", async () => {
  const product_id = await stock.stocked(5);
  await setLevel(product_id, "reserved = 6");
  expect(await violationsOf("product_id", product_id)).toEqual([
    {
      invariant: "I1",
      message: "more is reserved than is on hand, or less than nothing",
      row: { product_id, on_hand: 5, reserved: 6 },
    },
    {
      invariant: "I1",
      message: "reserved is not the sum of the live reservations",
      row: { product_id, reserved: 6, live: 0 },
    },
  ]);
});

test("I1: finds stock that came from nowhere", async () => {
  const product_id = await stock.stocked(5);
  await setLevel(product_id, "on_hand = 7");
  expect(await violationsOf("product_id", product_id)).toEqual([
    {
      invariant: "I1",
      message: "on hand + sold is not what was received",
      row: { product_id, on_hand: 7, sold: 0, received: 5 },
    },
  ]);
});

test("I1: finds a lost reservation and a lost sale", async () => {
  const product_id = await stock.stocked(5);
  await stock.reserved({ product_id, quantity: 2 });
  await stock.commit(await stock.reserved(one(product_id)));
  await setLevel(product_id, "reserved = 0, sold = 0, received = on_hand");
  expect(await violationsOf("product_id", product_id)).toEqual([
    {
      invariant: "I1",
      message: "reserved is not the sum of the live reservations",
      row: { product_id, reserved: 0, live: 2 },
    },
    {
      invariant: "I1",
      message: "sold is not the sum of the committed reservations",
      row: { product_id, sold: 0, committed: 1 },
    },
  ]);
});

test("I4: finds a reservation that nobody released, once it is a minute late", async () => {
  const product_id = await stock.stocked(5);
  const [justLate, tooLate] = [await stock.reserved(one(product_id)), await stock.reserved(one(product_id))];
  const expire = (order_id: string, seconds: number) =>
    runSql(shop, "UPDATE inventory.reservations SET expires_at = $2 WHERE order_id = $1", [
      order_id,
      inSeconds(-seconds),
    ]);
  await expire(justLate, 30);
  await expire(tooLate, 90);
  expect(await violationsOf("order_id", justLate)).toEqual([]);
  expect(await violationsOf("order_id", tooLate)).toMatchObject([
    { invariant: "I4", row: { order_id: tooLate, expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) } },
  ]);
  await stock.release(tooLate);
  expect(await violationsOf("order_id", tooLate)).toEqual([]);
});

test("lists the first hundred of each kind: many of one hide none of another", async () => {
  const products = Array.from({ length: 150 }, () => stock.newProduct());
  await shop.call("inventory.setMany", {
    levels: products.map((product_id) => ({ product_id, on_hand: 1 })),
  });
  await runSql(shop, "UPDATE inventory.levels SET received = 9 WHERE product_id = ANY ($1)", [products]);
  const late = await stock.reserved(one(await stock.stocked(1)));
  await runSql(shop, "UPDATE inventory.reservations SET expires_at = $2 WHERE order_id = $1", [
    late,
    inSeconds(-90),
  ]);
  const { violations } = await stock.audit();
  expect(violations.filter(({ message }) => message.startsWith("on hand + sold is not"))).toHaveLength(100);
  expect(violations.filter(({ invariant }) => invariant === "I4")).toMatchObject([
    { row: { order_id: late } },
  ]);
  await stock.release(late);
  await runSql(shop, "UPDATE inventory.levels SET received = 1 WHERE product_id = ANY ($1)", [products]);
});
