import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { MAX_ON_HAND } from "../../services/inventory/inventory.contract.ts";
import { eventually } from "../helpers/client.ts";
import { inSeconds, inventoryOf, one, runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let stock: ReturnType<typeof inventoryOf>;

beforeAll(async () => {
  shop = await startShop();
  stock = inventoryOf(shop);
});
afterAll(async () => {
  await shop.stop();
});

const empty = { on_hand: 0, reserved: 0, available: 0, received: 0, sold: 0, version: 0 };

describe("levels", () => {
  test("answers in the order asked, and zeros for a product that was never stocked", async () => {
    const [stocked, never] = [await stock.stocked(4), stock.newProduct()];
    const levels = await shop.call("inventory.levels", { product_ids: [never, stocked] });
    expect(levels).toMatchObject([
      { product_id: never, ...empty },
      { product_id: stocked, on_hand: 4 },
    ]);
    expect(await runSql(shop, "SELECT FROM inventory.levels WHERE product_id = $1", [never])).toEqual([]);
  });
});

describe("set and adjust", () => {
  test("what comes or goes other than by orders counts as received", async () => {
    const product_id = await stock.stocked(10);
    await stock.commit(await stock.reserved({ product_id, quantity: 4 }));
    expect(await shop.call("inventory.set", { product_id, on_hand: 20 })).toMatchObject({
      on_hand: 20,
      received: 24,
      sold: 4,
    });
    expect(await shop.call("inventory.adjust", { product_id, change: -5 })).toMatchObject({
      on_hand: 15,
      received: 19,
      sold: 4,
    });
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 15, received: 19, sold: 4 });
  });

  test("adjust also stocks a new product", async () => {
    const product_id = stock.newProduct();
    const level = await shop.call("inventory.adjust", { product_id, change: 3 });
    expect(level).toMatchObject({ product_id, on_hand: 3, available: 3, received: 3 });
    expect(await stock.level(product_id)).toEqual(level);
  });

  test("take some away of more than there may be, where cancelled orders came back on top", async () => {
    const product_id = await stock.stocked(10);
    const order = await stock.reserved({ product_id, quantity: 4 });
    await stock.commit(order);
    await shop.call("inventory.set", { product_id, on_hand: MAX_ON_HAND });
    await stock.giveBack(order);
    const level = await shop.call("inventory.adjust", { product_id, change: -1 });
    expect(level).toMatchObject({ on_hand: MAX_ON_HAND + 3 });
    await expect(shop.call("inventory.adjust", { product_id, change: 1 })).rejects.toMatchObject({
      code: 422,
    });
  });

  test("never go below what is reserved, and change nothing then", async () => {
    const product_id = await stock.stocked(10);
    await stock.reserved({ product_id, quantity: 6 });
    const before = await stock.level(product_id);
    const refusal = { type: "BELOW_RESERVED", code: 409, data: { product_id, reserved: 6 } };
    await expect(shop.call("inventory.set", { product_id, on_hand: 5 })).rejects.toMatchObject(refusal);
    await expect(shop.call("inventory.adjust", { product_id, change: -5 })).rejects.toMatchObject(refusal);
    expect(await stock.level(product_id)).toEqual(before);
    expect(await shop.call("inventory.set", { product_id, on_hand: 6 })).toMatchObject({ available: 0 });
  });

  test("nothing can be taken from a product that was never stocked, and no row is left of the attempt", async () => {
    const product_id = stock.newProduct();
    await expect(shop.call("inventory.adjust", { product_id, change: -1 })).rejects.toMatchObject({
      type: "BELOW_RESERVED",
    });
    expect(await stock.level(product_id)).toEqual({ product_id, ...empty });
  });

  test("adjust refuses more than the most that set takes", async () => {
    const product_id = await stock.stocked(1_000_000_000);
    await expect(shop.call("inventory.adjust", { product_id, change: 1 })).rejects.toMatchObject({
      type: "VALIDATION_FAILED",
      data: { violations: [{ path: "/change" }] },
    });
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 1_000_000_000 });
  });
});

describe("setMany", () => {
  test("sets new and known products, reports refusals, and takes the last of two", async () => {
    const [known, fresh, held] = [await stock.stocked(1), stock.newProduct(), await stock.stocked(5)];
    await stock.reserved({ product_id: held, quantity: 3 });
    const answer = await shop.call("inventory.setMany", {
      levels: [
        { product_id: held, on_hand: 2 },
        { product_id: fresh, on_hand: 7 },
        { product_id: known, on_hand: 100 },
        { product_id: known, on_hand: 9 },
      ],
    });
    expect(answer.refused).toEqual([{ product_id: held, reserved: 3 }]);
    expect(answer.levels).toHaveLength(2);
    expect(answer.levels).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ product_id: known, on_hand: 9, received: 9 }),
        expect.objectContaining({ product_id: fresh, on_hand: 7, received: 7 }),
      ]),
    );
    expect(await stock.level(held)).toMatchObject({ on_hand: 5, reserved: 3 });
  });

  test("may refuse all", async () => {
    const product_id = await stock.stocked(5);
    await stock.reserved({ product_id, quantity: 3 });
    const answer = await shop.call("inventory.setMany", { levels: [{ product_id, on_hand: 0 }] });
    expect(answer).toEqual({ levels: [], refused: [{ product_id, reserved: 3 }] });
  });
});

describe("changes", () => {
  const changes = (since: string, after = 0, limit = 1000) =>
    shop.call("inventory.changes", { since, after, limit });
  /** Where the feed ends now: behind the last change that was made. */
  async function end(): Promise<string> {
    const { until } = await changes(inSeconds(0));
    return until;
  }

  test("gives each changed level once, as it is, in order of product", async () => {
    const [a, b, c] = [await stock.stocked(1), await stock.stocked(1), await stock.stocked(1)];
    // To the millisecond: what was stocked in this one is still in the feed.
    await eventually(async () => (await changes(await end())).levels.length === 0);
    const since = await end();
    await shop.call("inventory.set", { product_id: b, on_hand: 5 });
    await shop.call("inventory.set", { product_id: a, on_hand: 6 });
    const order_id = await stock.reserved({ product_id: b, quantity: 2 });
    await stock.commit(order_id);
    const page = await changes(since);
    expect(page.levels).toEqual([await stock.level(a), await stock.level(b)]);
    expect(page.levels.map(({ product_id }) => product_id)).not.toContain(c);
    await eventually(async () => (await changes(await end())).levels.length === 0);
  });

  test("read page by page it misses nothing, even of many changes in one moment", async () => {
    const since = await end();
    const products = Array.from({ length: 300 }, () => stock.newProduct());
    await shop.call("inventory.setMany", {
      levels: products.map((product_id) => ({ product_id, on_hand: 1 })),
    });
    const seen: number[] = [];
    for (let page = await changes(since, 0, 7); page.levels.length > 0; ) {
      seen.push(...page.levels.map(({ product_id }) => product_id));
      page = await changes(since, seen.at(-1), 7);
    }
    expect(seen).toEqual(products);
  });

  test("what changes while it is read is in the next round", async () => {
    const [a, b] = [await stock.stocked(1), await stock.stocked(1)];
    const since = await end();
    await shop.call("inventory.set", { product_id: b, on_hand: 5 });
    const first = await changes(since, 0, 1);
    await shop.call("inventory.set", { product_id: a, on_hand: 6 });
    const next = await changes(first.until);
    expect(next.levels).toContainEqual(await stock.level(a));
  });
});

describe("the database itself refuses", () => {
  const level = (set: string) => `UPDATE inventory.levels SET ${set} WHERE product_id = $1`;
  test.each([
    { what: "an oversold level", sql: level("reserved = on_hand + 1"), constraint: "levels_no_oversell" },
    { what: "a negative reservation", sql: level("reserved = -1"), constraint: "levels_no_oversell" },
    {
      what: "fewer on hand than reserved",
      sql: level("on_hand = 1, received = 1"),
      constraint: "levels_no_oversell",
    },
    { what: "stock from nowhere", sql: level("on_hand = on_hand + 1"), constraint: "levels_nothing_lost" },
    { what: "stock that vanishes", sql: level("received = received + 1"), constraint: "levels_nothing_lost" },
    {
      what: "a negative sale",
      sql: level("sold = -1, received = received - 1"),
      constraint: "levels_sold_not_negative",
    },
  ])("$what", async ({ sql, constraint }) => {
    const product_id = await stock.stocked(5);
    await stock.reserved({ product_id, quantity: 2 });
    await expect(runSql(shop, sql, [product_id])).rejects.toMatchObject({ code: "23514", constraint });
  });

  const reservation = (set: string) => `UPDATE inventory.reservations SET ${set} WHERE order_id = $1`;
  test.each([
    { what: "an unknown state", sql: reservation("state = 'lost'"), code: "23514" },
    { what: "a live reservation without an end", sql: reservation("expires_at = NULL"), code: "23514" },
    { what: "an end of what is not live", sql: reservation("state = 'committed'"), code: "23514" },
    {
      what: "an item of nothing",
      sql: "UPDATE inventory.reservation_items SET quantity = 0 WHERE order_id = $1",
      code: "23514",
    },
    {
      what: "a second reservation of one order",
      sql: "INSERT INTO inventory.reservations (order_id, state) VALUES ($1, 'released')",
      code: "23505",
    },
    {
      what: "one product twice in an order",
      sql: "INSERT INTO inventory.reservation_items SELECT * FROM inventory.reservation_items WHERE order_id = $1",
      code: "23505",
    },
    {
      what: "a reservation that vanishes while it has items",
      sql: "DELETE FROM inventory.reservations WHERE order_id = $1",
      code: "23503",
    },
  ])("$what", async ({ sql, code }) => {
    const order_id = await stock.reserved(one(await stock.stocked(5)));
    await expect(runSql(shop, sql, [order_id])).rejects.toMatchObject({ code });
  });

  test("an item of an order that was never reserved", async () => {
    const product_id = await stock.stocked(5);
    const sql = "INSERT INTO inventory.reservation_items VALUES ($1, $2, 1)";
    await expect(runSql(shop, sql, [newId(), product_id])).rejects.toMatchObject({ code: "23503" });
  });
});
