import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import pg from "pg";
import { newId } from "../../lib/ids.ts";
import { eventually } from "../helpers/client.ts";
import { inventoryOf, one, runSql, tally } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

// Two nodes on one database: nothing may depend on being in one process.
let shop: Shop;
let otherNode: Shop;
let stock: ReturnType<typeof inventoryOf>;
let elsewhere: ReturnType<typeof inventoryOf>;

beforeAll(async () => {
  shop = await startShop();
  otherNode = await startShop({ databaseUrl: shop.databaseUrl });
  stock = inventoryOf(shop);
  elsewhere = inventoryOf(otherNode);
});
afterAll(async () => {
  await otherNode.stop();
  await shop.stop();
});

const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
/** Every other call goes to the other node. */
const node = (i: number) => (i % 2 === 0 ? stock : elsewhere);

async function expectCleanAudit(): Promise<void> {
  expect(await stock.audit()).toMatchObject({ violations: [] });
}

test("200 buyers for the last 10: exactly 10 get one", async () => {
  const product_id = await stock.stocked(10);
  const buyers = times(200, (i) => node(i).reserve(newId(), [one(product_id)]));
  expect(await tally(buyers)).toEqual({ ok: 10, INSUFFICIENT_STOCK: 190 });
  expect(await stock.level(product_id)).toMatchObject({ on_hand: 10, reserved: 10, available: 0 });
  await expectCleanAudit();
});

test("the last pieces are never split between carts: all of a cart or nothing", async () => {
  const [left, right] = [await stock.stocked(10), await stock.stocked(10)];
  const buyers = times(60, (i) => {
    const pair = [one(left), one(right)];
    return node(i).reserve(newId(), i % 3 === 0 ? [one(left)] : pair);
  });
  const counts = await tally(buyers);
  const [l, r] = [await stock.level(left), await stock.level(right)];
  expect(l.reserved).toBe(10);
  expect(r.reserved).toBe((counts.ok ?? 0) - (l.reserved - r.reserved));
  const items = await runSql<{ orders: number; pairs: number }>(
    shop,
    `SELECT count(*)::int AS orders, count(*) FILTER (WHERE products = 2)::int AS pairs
     FROM (SELECT count(*) AS products FROM inventory.reservation_items
           WHERE product_id = ANY ($1) GROUP BY order_id) AS cart`,
    [[left, right]],
  );
  expect(items).toEqual([{ orders: counts.ok, pairs: r.reserved }]);
});

test("50 identical reserves take effect once and all answer the same", async () => {
  const product_id = await stock.stocked(100);
  const order_id = newId();
  const expires_at = new Date(Date.now() + 900_000).toISOString();
  const answers = await Promise.all(
    times(50, (i) => node(i).reserve(order_id, [one(product_id)], expires_at)),
  );
  for (const answer of answers) expect(answer).toEqual({ order_id, state: "reserved", expires_at });
  expect(await stock.level(product_id)).toMatchObject({ reserved: 1, available: 99 });
});

test("50 identical commits, then 50 identical returns, take effect once", async () => {
  const product_id = await stock.stocked(10);
  const order_id = await stock.reserved({ product_id, quantity: 4 });
  const commits = await Promise.all(times(50, (i) => node(i).commit(order_id)));
  expect(new Set(commits.map(({ state }) => state))).toEqual(new Set(["committed"]));
  expect(await stock.level(product_id)).toMatchObject({ on_hand: 6, reserved: 0, sold: 4 });
  const returns = await Promise.all(times(50, (i) => node(i).giveBack(order_id)));
  expect(new Set(returns.map(({ state }) => state))).toEqual(new Set(["returned"]));
  expect(await stock.level(product_id)).toMatchObject({ on_hand: 10, reserved: 0, sold: 0 });
});

test("a reserve and a release of one order at once end released, and nothing stays reserved", async () => {
  const product_id = await stock.stocked(100);
  const orders = times(60, () => newId());
  const reserve = (order_id: string, i: number) => node(i).reserve(order_id, [one(product_id)]);
  const reserves: Promise<unknown>[] = [];
  const releases: Promise<unknown>[] = [];
  for (const [i, order_id] of orders.entries()) {
    if (i % 3 > 0) reserves.push(reserve(order_id, i));
    releases.push(node(i + 1).release(order_id));
    if (i % 3 === 0) reserves.push(reserve(order_id, i));
  }
  const { ok = 0, RESERVATION_RELEASED: refused = 0, ...others } = await tally(reserves);
  expect([ok + refused, others]).toEqual([60, {}]);
  for (const answer of await Promise.all(releases)) expect(answer).toMatchObject({ state: "released" });
  expect(await stock.level(product_id)).toMatchObject({ on_hand: 100, reserved: 0 });
  expect(await tally(orders.map(reserve))).toEqual({ RESERVATION_RELEASED: 60 });
  await expectCleanAudit();
});

test.each(["release", "giveBack"] as const)(
  "%s waits for a reserve under way, and undoes it",
  async (undo) => {
    const product_id = await stock.stocked(5);
    const order_id = newId();
    // A node that has reserved and not yet committed.
    const client = new pg.Client({ connectionString: shop.databaseUrl });
    await client.connect();
    try {
      await client.query("BEGIN");
      await client.query(
        "INSERT INTO inventory.reservations (order_id, state, expires_at) VALUES ($1, 'reserved', now() + interval '1 hour')",
        [order_id],
      );
      await client.query("SELECT * FROM inventory.take($1, ARRAY[$2::int], ARRAY[2])", [
        order_id,
        product_id,
      ]);
      const undone = stock[undo](order_id);
      await eventually(async () => {
        const sql =
          "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        return (await runSql(shop, sql)).length > 0;
      });
      await client.query("COMMIT");
      expect(await undone).toEqual({ order_id, state: "released", expires_at: null });
    } finally {
      await client.end();
    }
    expect(await stock.level(product_id)).toMatchObject({ on_hand: 5, reserved: 0 });
  },
);

test("a commit and a release of one order at once: one of them wins, and both tell the same", async () => {
  const product_id = await stock.stocked(40);
  const orders = await Promise.all(times(40, () => stock.reserved(one(product_id))));
  const states = await Promise.all(
    orders.map(async (order_id, i) => {
      const commit = node(i)
        .commit(order_id)
        .then(
          ({ state }) => state,
          () => "released",
        );
      const release = node(i + 1).release(order_id);
      expect(await commit).toBe((await release).state);
      return await commit;
    }),
  );
  const sold = states.filter((state) => state === "committed").length;
  expect(await stock.level(product_id)).toMatchObject({ on_hand: 40 - sold, reserved: 0, sold });
});

test("a correction downwards races reservations: never below what is reserved", async () => {
  const product_id = await stock.stocked(30);
  const reserves = times(30, (i) => node(i).reserve(newId(), [one(product_id)]));
  const corrections = times(30, (i) =>
    (i % 2 === 0 ? shop : otherNode).call("inventory.adjust", { product_id, change: -1 }),
  );
  const [taken, removed] = [await tally(reserves), await tally(corrections)];
  expect((taken.ok ?? 0) + (taken.INSUFFICIENT_STOCK ?? 0)).toBe(30);
  expect((removed.ok ?? 0) + (removed.BELOW_RESERVED ?? 0)).toBe(30);
  expect((taken.ok ?? 0) + (removed.ok ?? 0)).toBe(30);
  expect(await stock.level(product_id)).toMatchObject({
    on_hand: taken.ok,
    reserved: taken.ok,
    available: 0,
  });
  await expectCleanAudit();
});

describe("deadlocks", () => {
  test("there is none among carts with the same products in opposite order, returns and imports", async () => {
    // A shop of its own, as Postgres tells how many deadlocks there were for sure only when the connections are closed.
    const own = await startShop();
    try {
      const { stocked, reserve, reserved, commit, giveBack, level } = inventoryOf(own);
      const [a, b, c] = [await stocked(1000), await stocked(1000), await stocked(1000)];
      const sold = await Promise.all(times(20, () => reserved(one(c), one(b), one(a))));
      await Promise.all(sold.map(commit));
      const opposite = times(100, (i) => {
        const cart = [one(a), one(b), one(c)];
        return reserve(newId(), i % 2 === 0 ? cart : cart.toReversed());
      });
      const returns = sold.map(giveBack);
      const imports = times(20, (i) => {
        const levels = [a, b, c].map((product_id) => ({ product_id, on_hand: 2000 }));
        return own.call("inventory.setMany", { levels: i % 2 === 0 ? levels : levels.toReversed() });
      });
      expect(await tally([...opposite, ...returns, ...imports])).toEqual({ ok: 140 });
      for (const product_id of [a, b, c])
        expect(await level(product_id)).toMatchObject({ reserved: 100, sold: 0 });
    } finally {
      await own.stop();
    }
    const sql = "SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()";
    expect(await runSql(own, sql)).toEqual([{ deadlocks: 0 }]);
  });
});

test("anything at once, in any order: the books balance", async () => {
  const products = await Promise.all(times(3, () => stock.stocked(12)));
  const orders = times(12, () => newId());
  const order = fc.constantFrom(...orders);
  const items = fc
    .subarray(products, { minLength: 1 })
    .map((ids) => ids.map((id) => ({ product_id: id, quantity: 2 })));
  const operation = fc.oneof(
    fc.tuple(order, items).map(
      ([id, wanted]) =>
        (i: number) =>
          node(i).reserve(id, wanted),
    ),
    order.map((id) => (i: number) => node(i).commit(id)),
    order.map((id) => (i: number) => node(i).release(id)),
    order.map((id) => (i: number) => node(i).giveBack(id)),
    fc
      .constantFrom(...products)
      .map((product_id) => () => shop.call("inventory.adjust", { product_id, change: -1 })),
    fc
      .constantFrom(...products)
      .map((product_id) => () => shop.call("inventory.set", { product_id, on_hand: 9 })),
  );
  const operations = fc.sample(operation, { seed: 20, numRuns: 400 });
  const counts = await tally(operations.map((run, i) => run(i)));
  const expected = [
    "ok",
    "INSUFFICIENT_STOCK",
    "RESERVATION_RELEASED",
    "IDEMPOTENCY_MISMATCH",
    "NOT_FOUND",
    "BELOW_RESERVED",
  ];
  expect(Object.keys(counts).filter((key) => !expected.includes(key))).toEqual([]);
  await expectCleanAudit();
});
