import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import type { StockLevel } from "../../services/inventory/inventory.contract.ts";
import { inSeconds, inventoryOf, one, runSql } from "../helpers/inventory.ts";
import { keepJobs } from "../helpers/kept-jobs.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let stock: ReturnType<typeof inventoryOf>;

beforeAll(async () => {
  shop = await startShop();
  stock = inventoryOf(shop);
  await keepJobs(shop.databaseUrl);
});
afterAll(async () => {
  await shop.stop();
});

describe("reserve", () => {
  test("takes every item from what is available, and nothing from what is on hand", async () => {
    const [kettle, cup] = [await stock.stocked(10), await stock.stocked(3)];
    const order_id = newId();
    const expires_at = inSeconds(900);
    const items = [
      { product_id: cup, quantity: 3 },
      { product_id: kettle, quantity: 4 },
    ];
    expect(await stock.reserve(order_id, items, expires_at)).toEqual({
      order_id,
      state: "reserved",
      expires_at,
    });
    expect(await stock.level(kettle)).toMatchObject({ on_hand: 10, reserved: 4, available: 6, sold: 0 });
    expect(await stock.level(cup)).toMatchObject({ on_hand: 3, reserved: 3, available: 0, sold: 0 });
  });

  test("one short item refuses all, and names each short one with what is available", async () => {
    const [plenty, few, unknown] = [await stock.stocked(10), await stock.stocked(1), stock.newProduct()];
    const order_id = newId();
    const items = [
      { product_id: unknown, quantity: 2 },
      { product_id: few, quantity: 1 },
      { product_id: plenty, quantity: 5 },
      { product_id: few, quantity: 1 },
    ];
    await expect(stock.reserve(order_id, items)).rejects.toMatchObject({
      type: "INSUFFICIENT_STOCK",
      code: 409,
      data: {
        items: [
          { product_id: few, requested: 2, available: 1 },
          { product_id: unknown, requested: 2, available: 0 },
        ],
      },
    });
    expect(await stock.level(plenty)).toMatchObject({ reserved: 0 });
    expect(await stock.level(few)).toMatchObject({ reserved: 0 });
    // Nothing is left behind: the same order may reserve what there is.
    expect(await stock.reserve(order_id, [one(few)])).toMatchObject({ state: "reserved" });
  });

  test("asked again it answers the same, reserves nothing more, and prolongs but never shortens", async () => {
    const product_id = await stock.stocked(5);
    const order_id = newId();
    const [sooner, later] = [inSeconds(600), inSeconds(1200)];
    const items = [{ product_id, quantity: 5 }];
    const first = await stock.reserve(order_id, items, sooner);
    // Nothing is available any more, which doesn't matter to who has it already.
    expect(await stock.reserve(order_id, items, sooner)).toEqual(first);
    expect(await stock.reserve(order_id, items, later)).toEqual({ ...first, expires_at: later });
    expect(await stock.reserve(order_id, items, sooner)).toEqual({ ...first, expires_at: later });
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 5, reserved: 5 });
  });

  test("the items of one order can't change: that would be another order under its id", async () => {
    const product_id = await stock.stocked(5);
    const order_id = await stock.reserved({ product_id, quantity: 2 });
    const other = stock.reserve(order_id, [{ product_id, quantity: 3 }], inSeconds(9000));
    await expect(other).rejects.toMatchObject({ type: "IDEMPOTENCY_MISMATCH" });
    expect(await stock.level(product_id)).toMatchObject({ reserved: 2 });
    const halves = [one(product_id), one(product_id)];
    expect(await stock.reserve(order_id, halves)).toMatchObject({ state: "reserved" });
  });

  test("after a commit it answers that; after a release or a return it is refused", async () => {
    const product_id = await stock.stocked(3);
    const committed = await stock.reserved(one(product_id));
    const answer = await stock.commit(committed);
    expect(await stock.reserve(committed, [one(product_id)])).toEqual(answer);

    const released = await stock.reserved(one(product_id));
    await stock.release(released);
    await expect(stock.reserve(released, [one(product_id)])).rejects.toMatchObject({
      type: "RESERVATION_RELEASED",
    });

    await stock.giveBack(committed);
    await expect(stock.reserve(committed, [one(product_id)])).rejects.toMatchObject({
      type: "RESERVATION_RELEASED",
    });
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 3, reserved: 0, sold: 0 });
  });
});

describe("release", () => {
  test("gives a live reservation back, once", async () => {
    const product_id = await stock.stocked(5);
    const order_id = await stock.reserved({ product_id, quantity: 4 });
    const answer = { order_id, state: "released", expires_at: null };
    expect(await stock.release(order_id)).toEqual(answer);
    expect(await stock.release(order_id)).toEqual(answer);
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 5, reserved: 0, received: 5, sold: 0 });
  });

  test("before its reserve it leaves a tombstone, and the late reserve is refused", async () => {
    const product_id = await stock.stocked(5);
    const order_id = newId();
    expect(await stock.release(order_id)).toEqual({ order_id, state: "released", expires_at: null });
    await expect(stock.reserve(order_id, [one(product_id)])).rejects.toMatchObject({
      type: "RESERVATION_RELEASED",
    });
    expect(await stock.level(product_id)).toMatchObject({ reserved: 0 });
  });

  test("leaves a sale alone", async () => {
    const product_id = await stock.stocked(5);
    const order_id = await stock.reserved(one(product_id));
    const sale = await stock.commit(order_id);
    expect(await stock.release(order_id)).toEqual(sale);
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 4, reserved: 0, sold: 1 });
  });
});

describe("commit", () => {
  test("turns what was reserved into a sale, once", async () => {
    const [kettle, cup] = [await stock.stocked(5), await stock.stocked(8)];
    const order_id = await stock.reserved(
      { product_id: kettle, quantity: 2 },
      { product_id: cup, quantity: 8 },
    );
    const answer = { order_id, state: "committed", expires_at: null };
    expect(await stock.commit(order_id)).toEqual(answer);
    expect(await stock.commit(order_id)).toEqual(answer);
    expect(await stock.level(kettle)).toMatchObject({ on_hand: 3, reserved: 0, received: 5, sold: 2 });
    expect(await stock.level(cup)).toMatchObject({ on_hand: 0, reserved: 0, received: 8, sold: 8 });
  });

  test("of what was released or returned is refused, of what was never reserved not found", async () => {
    const product_id = await stock.stocked(5);
    const released = await stock.reserved(one(product_id));
    await stock.release(released);
    await expect(stock.commit(released)).rejects.toMatchObject({ type: "RESERVATION_RELEASED", code: 409 });
    const returned = await stock.reserved(one(product_id));
    await stock.commit(returned);
    await stock.giveBack(returned);
    await expect(stock.commit(returned)).rejects.toMatchObject({ type: "RESERVATION_RELEASED", code: 409 });
    await expect(stock.commit(newId())).rejects.toMatchObject({ type: "NOT_FOUND", code: 404 });
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 5, reserved: 0, sold: 0 });
  });
});

describe("giveBack", () => {
  test("puts a sale back on the shelf, once", async () => {
    const product_id = await stock.stocked(5);
    const order_id = await stock.reserved({ product_id, quantity: 3 });
    await stock.commit(order_id);
    const answer = { order_id, state: "returned", expires_at: null };
    expect(await stock.giveBack(order_id)).toEqual(answer);
    expect(await stock.giveBack(order_id)).toEqual(answer);
    expect(await stock.release(order_id)).toEqual(answer);
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 5, reserved: 0, received: 5, sold: 0 });
  });

  test("releases what was only reserved, and leaves a tombstone where nothing was", async () => {
    const product_id = await stock.stocked(5);
    const reserved = await stock.reserved({ product_id, quantity: 3 });
    expect(await stock.giveBack(reserved)).toMatchObject({ state: "released" });
    expect(await stock.giveBack(reserved)).toMatchObject({ state: "released" });
    const early = newId();
    expect(await stock.giveBack(early)).toMatchObject({ state: "released" });
    await expect(stock.reserve(early, [one(product_id)])).rejects.toMatchObject({
      type: "RESERVATION_RELEASED",
    });
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 5, reserved: 0, sold: 0 });
  });
});

describe("stock.changed", () => {
  const announced: StockLevel[] = [];
  let fails = false;

  beforeAll(async () => {
    await shop.broker.createService({
      name: "listener",
      events: {
        "stock.changed"(ctx: { params: { levels: StockLevel[] } }) {
          if (fails) throw new Error("The listener is broken.");
          announced.push(...ctx.params.levels);
        },
      },
    });
    await shop.broker.waitForServices("listener");
  });

  test("is told before the call answers, with the levels as they are; a repeated call and a sale of what was reserved tell nothing", async () => {
    const product_id = await stock.stocked(9);
    const order_id = await stock.reserved({ product_id, quantity: 2 });
    await stock.reserve(order_id, [{ product_id, quantity: 2 }]);
    await stock.commit(order_id);
    await stock.commit(order_id);
    await shop.call("inventory.adjust", { product_id, change: -1 });
    const levels = announced.filter((level) => level.product_id === product_id);
    expect(levels).toMatchObject([
      { on_hand: 9, reserved: 0 },
      { on_hand: 9, reserved: 2 },
      { on_hand: 6, reserved: 0, sold: 2 },
    ]);
    const versions = levels.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    expect(levels.at(-1)).toEqual(await stock.level(product_id));
  });

  test("fails nothing when its listener fails", async () => {
    const product_id = await stock.stocked(9);
    fails = true;
    try {
      expect(await stock.reserve(newId(), [one(product_id)])).toMatchObject({ state: "reserved" });
    } finally {
      fails = false;
    }
    expect(await stock.level(product_id)).toMatchObject({ reserved: 1 });
  });
});

describe("stock.low", () => {
  /** What was published of a product, by the jobs that deliver it. */
  async function published(product_id: number): Promise<{ available: number; threshold: number }[]> {
    const rows = await runSql<{ data: { available: number; threshold: number } }>(
      shop,
      `SELECT data->'envelope'->'data' AS data FROM kept_jobs
       WHERE name = 'events-notifications' AND data->'envelope'->>'event' = 'stock.low'
         AND data->'envelope'->'data'->>'product_id' = $1::text
       ORDER BY created_on`,
      [product_id],
    );
    return rows.map(({ data }) => data);
  }
  const threshold = 5;

  test("is published when reserving brings a product down to the threshold, once a crossing", async () => {
    const product_id = await stock.stocked(7);
    await stock.reserved(one(product_id));
    expect(await published(product_id)).toEqual([]);
    const order_id = await stock.reserved(one(product_id));
    await stock.reserved(one(product_id));
    expect(await published(product_id)).toEqual([{ product_id, available: 5, threshold }]);
    // A sale doesn't change what is available; a delivery raises it, so that it can fall again.
    await stock.commit(order_id);
    await shop.call("inventory.adjust", { product_id, change: 2 });
    expect(await published(product_id)).toHaveLength(1);
    await stock.reserved({ product_id, quantity: 2 });
    expect(await published(product_id)).toEqual([
      { product_id, available: 5, threshold },
      { product_id, available: 4, threshold },
    ]);
  });

  test("is published when a correction takes stock away, not when a product starts low", async () => {
    const product_id = await stock.stocked(3);
    expect(await published(product_id)).toEqual([]);
    await shop.call("inventory.set", { product_id, on_hand: 50 });
    await shop.call("inventory.adjust", { product_id, change: -49 });
    expect(await published(product_id)).toEqual([{ product_id, available: 1, threshold }]);
  });

  test("is not published by a reservation that is refused", async () => {
    const [crossing, short] = [await stock.stocked(6), await stock.stocked(0)];
    await expect(stock.reserve(newId(), [one(crossing), one(short)])).rejects.toMatchObject({
      type: "INSUFFICIENT_STOCK",
    });
    expect(await published(crossing)).toEqual([]);
  });
});
