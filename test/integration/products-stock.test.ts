import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import pg from "pg";
import { Unavailable } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { ServiceFactory } from "../../lib/service.ts";
import inventory from "../../services/inventory/inventory.service.ts";
import { adminToken, eventually, givenProduct, send } from "../helpers/client.ts";
import { costOf } from "../helpers/cost.ts";
import { inventoryOf, one, runSql } from "../helpers/inventory.ts";
import { createDatabase, type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
});
afterAll(() => shop.stop());

const stock = (method: "PUT" | "PATCH", id: number, body: object) =>
  send(shop, method, `/api/products/${id}/stock`, body, { token: admin });
const shownStock = async (id: number, at: Shop = shop) =>
  (await send(at, "GET", `/api/products/${id}`)).at("stock_quantity");
const listedStock = async (id: number, at: Shop = shop) =>
  (await send(at, "GET", `/api/products?ids=${id}`)).at("products", 0, "stock_quantity");
const MAX_INT = 2_147_483_647;

/** The catalogue's own copy, whatever its cache holds. */
async function keptStock(id: number): Promise<number | undefined> {
  const [row] = await runSql<{ stock_quantity: number }>(
    shop,
    "SELECT stock_quantity FROM products.products WHERE id = $1",
    [id],
  );
  return row?.stock_quantity;
}

describe("PUT and PATCH /products/:id/stock", () => {
  test("set and change what is on hand, and show it at once everywhere", async () => {
    const id = await givenProduct(shop, admin, { stock_quantity: 10 });
    expect([await shownStock(id), await listedStock(id)]).toEqual([10, 10]);
    for (const [method, body, expected] of [
      ["PUT", { quantity: 25 }, 25],
      ["PATCH", { change: -5 }, 20],
      ["PATCH", { change: 1 }, 21],
      ["PATCH", { change: 0 }, 21],
      ["PUT", { quantity: 0 }, 0],
      ["PATCH", { change: 7 }, 7],
    ] as const) {
      const answer = await stock(method, id, body);
      expect([answer.status, answer.at("id"), answer.at("stock_quantity")]).toEqual([200, id, expected]);
      expect([await shownStock(id), await listedStock(id)]).toEqual([expected, expected]);
    }
    expect(await inventoryOf(shop).level(id)).toMatchObject({ on_hand: 7, received: 7, reserved: 0 });
  });

  test("answer with what is available, and never go below what is reserved", async () => {
    const id = await givenProduct(shop, admin, { stock_quantity: 5 });
    await inventoryOf(shop).reserved({ product_id: id, quantity: 3 });
    expect(await shownStock(id)).toBe(2);
    expect((await stock("PUT", id, { quantity: 10 })).at("stock_quantity")).toBe(7);
    expect((await stock("PATCH", id, { change: -7 })).at("stock_quantity")).toBe(0);
    for (const [method, body] of [
      ["PUT", { quantity: 2 }],
      ["PATCH", { change: -1 }],
    ] as const) {
      const refused = await stock(method, id, body);
      expect([refused.status, refused.at("code")]).toEqual([409, "BELOW_RESERVED"]);
      expect(refused.at("details")).toEqual({ product_id: id, reserved: 3 });
    }
    expect([await shownStock(id), await keptStock(id)]).toEqual([0, 0]);
  });

  test("concurrent changes are never lost", async () => {
    const id = await givenProduct(shop, admin, { stock_quantity: 100 });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => stock("PATCH", id, { change: n % 2 === 0 ? 3 : -2 })),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect([await shownStock(id), await listedStock(id), await keptStock(id)]).toEqual([110, 110, 110]);
  });

  test.each([
    ["PUT", { quantity: -1 }, 422],
    ["PUT", { quantity: 1.5 }, 422],
    ["PUT", { quantity: "5" }, 422],
    ["PUT", { quantity: 1_000_000_001 }, 422],
    ["PUT", {}, 422],
    ["PUT", { quantity: 5, reserved: 1 }, 422],
    ["PUT", { quantity: 5, id: 1 }, 400],
    ["PATCH", { change: 0.5 }, 422],
    ["PATCH", { change: 1_000_000_001 }, 422],
    ["PATCH", { change: null }, 422],
    ["PATCH", { quantity: 5 }, 422],
  ] as const)("%s %j is refused with %i", async (method, body, status) => {
    const id = await givenProduct(shop, admin, { stock_quantity: 4 });
    expect((await stock(method, id, body)).status).toBe(status);
    expect(await shownStock(id)).toBe(4);
  });

  test("answer 404 for a product that isn't there, and stock nothing", async () => {
    expect((await stock("PUT", MAX_INT, { quantity: 5 })).status).toBe(404);
    expect((await stock("PATCH", MAX_INT, { change: 5 })).status).toBe(404);
    expect(await inventoryOf(shop).level(MAX_INT)).toMatchObject({ on_hand: 0, version: 0 });
  });
});

describe("the stock that the catalogue shows", () => {
  test("follows reservations, sales and returns", async () => {
    const id = await givenProduct(shop, admin, { stock_quantity: 10 });
    const { reserved, commit, giveBack, release } = inventoryOf(shop);
    const [kept, dropped] = [
      await reserved({ product_id: id, quantity: 4 }),
      await reserved({ product_id: id, quantity: 1 }),
    ];
    expect([await shownStock(id), await listedStock(id)]).toEqual([5, 5]);
    await release(dropped);
    expect(await shownStock(id)).toBe(6);
    await commit(kept);
    expect(await shownStock(id)).toBe(6);
    await giveBack(kept);
    expect([await shownStock(id), await listedStock(id)]).toEqual([10, 10]);
  });

  test("is right in the end however many buy at once", async () => {
    const ids = [
      await givenProduct(shop, admin, { stock_quantity: 50 }),
      await givenProduct(shop, admin, { stock_quantity: 50 }),
    ];
    const inventory = inventoryOf(shop);
    await Promise.all(Array.from({ length: 30 }, () => inventory.reserved(...ids.map(one))));
    for (const id of ids) {
      await eventually(async () => (await keptStock(id)) === 20);
      await eventually(async () => (await shownStock(id)) === 20 && (await listedStock(id)) === 20);
    }
  });

  test("is not taken back by an event that comes late", async () => {
    const id = await givenProduct(shop, admin, { stock_quantity: 10 });
    const old = await inventoryOf(shop).level(id);
    await stock("PUT", id, { quantity: 3 });
    await shop.broker.broadcast("stock.changed", { levels: [old] });
    await shop.broker.broadcast("stock.changed", { levels: "nonsense" });
    expect([await shownStock(id), await keptStock(id)]).toEqual([3, 3]);
  });

  test("does not hold up a checkout while somebody keeps the product locked", async () => {
    const id = await givenProduct(shop, admin, { stock_quantity: 10 });
    const { reserved } = inventoryOf(shop);
    let order: string | undefined;
    await holding(`UPDATE products.products SET name = name WHERE id = ${id}`, async () => {
      order = await reserved({ product_id: id, quantity: 1 });
    });
    expect(order).toBeDefined();
    await eventually(async () => (await keptStock(id)) === 9);
  });

  /** Runs a statement in a transaction that ends after `work`. */
  async function holding(sql: string, work: () => Promise<void>): Promise<void> {
    const client = new pg.Client({ connectionString: shop.databaseUrl });
    await client.connect();
    try {
      await client.query("BEGIN");
      await client.query(sql);
      await work();
      await client.query("COMMIT");
    } finally {
      await client.end();
    }
  }
});

describe("inventory's feed", () => {
  /** Waits until every change there is by now was read. */
  async function allRead(database: { databaseUrl: string }): Promise<void> {
    const [last] = await runSql<{ at: Date }>(database, "SELECT max(changed_at) AS at FROM inventory.levels");
    await eventually(async () => {
      const sql = "SELECT read_until > $1 AS read FROM products.stock_feed";
      const [feed] = await runSql<{ read: boolean }>(database, sql, [last?.at]);
      return feed?.read === true;
    });
  }

  test("brings at the next start what no event brought, and is read on from there", async () => {
    const databaseUrl = await createDatabase();
    const first = await startShop({ databaseUrl });
    const token = await adminToken(first);
    const ids: number[] = [];
    for (let n = 0; n < 3; n++) ids.push(await givenProduct(first, token, { stock_quantity: 5 }));
    await first.stop();
    // Changes while no catalogue listens; more than a page of the feed.
    await runSql(
      { databaseUrl },
      `INSERT INTO inventory.levels (product_id, on_hand, received) SELECT n, 1, 1 FROM generate_series(1000, 3000) AS n`,
    );
    await runSql(
      { databaseUrl },
      "UPDATE inventory.levels SET on_hand = on_hand + 2, received = received + 2 WHERE product_id = ANY ($1)",
      [ids],
    );
    const second = await startShop({ databaseUrl });
    for (const id of ids) await eventually(async () => (await shownStock(id, second)) === 7);
    await allRead({ databaseUrl });
    await second.stop();
  });

  test("costs a few walks through the levels, not one for each page", async () => {
    const levels = 20_000; // 20 pages
    const fill = `INSERT INTO inventory.levels (product_id, on_hand, received)
      SELECT n, 1, 1 FROM generate_series(1, ${levels}) AS n`;
    const { rowsOf } = await costOf(
      ["inventory.levels"],
      [fill, "ANALYZE inventory.levels"],
      ({ databaseUrl }) => allRead({ databaseUrl }),
    );
    const read = await rowsOf("inventory", "levels");
    expect(read).toBeGreaterThanOrEqual(levels);
    expect(read).toBeLessThan(5 * levels);
  });
});

describe("without inventory", () => {
  /** The real inventory, but for what a test takes away. */
  let away: Shop;
  let token: string;
  const broken = new Set<string>();
  beforeAll(async () => {
    away = await startShop({ replace: { inventory: faulty } });
    token = await adminToken(away);
  });
  afterAll(() => away.stop());

  const faulty: ServiceFactory = (broker) => ({
    ...inventory(broker),
    hooks: {
      before: {
        "*": (ctx) => {
          if (broken.has(ctx.action?.name ?? "")) throw new Unavailable({ retry_after: 1 });
        },
      },
    },
  });

  test("a product whose stock can't be set is not added", async () => {
    broken.add("inventory.set");
    const sku = `T-${newId()}`;
    const create = (stock_quantity?: number) =>
      send(away, "POST", "/api/products", { name: "Vase", price: 1, sku, stock_quantity }, { token });
    const failed = await create(5);
    expect([failed.status, failed.at("code")]).toEqual([503, "SERVICE_UNAVAILABLE"]);
    expect((await send(away, "GET", `/api/products?search=${sku}`)).at("products")).toEqual([]);
    expect(await away.call("products.count", {})).toBe(0);
    broken.clear();
    const added = await create(5);
    expect([added.status, added.at("stock_quantity")]).toEqual([201, 5]);
  });

  test("one without stock is", async () => {
    broken.add("inventory.set");
    const answer = await send(away, "POST", "/api/products", { name: "Vase", price: 1 }, { token });
    broken.clear();
    expect([answer.status, answer.at("stock_quantity")]).toEqual([201, 0]);
  });

  test("the catalogue answers all the same, with the stock it knew last", async () => {
    const id = await givenProduct(away, token, { stock_quantity: 6 });
    for (const action of ["levels", "changes", "set", "adjust"]) broken.add(`inventory.${action}`);
    expect([await shownStock(id, away), await listedStock(id, away)]).toEqual([6, 6]);
    const refused = await send(away, "PUT", `/api/products/${id}/stock`, { quantity: 1 }, { token });
    expect(refused.status).toBe(503);
    expect(await shownStock(id, away)).toBe(6);
    broken.clear();
  });
});
