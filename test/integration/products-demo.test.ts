import { afterEach, describe, expect, test } from "@jest/globals";
import catalogue from "../../data/demo-catalogue.json" with { type: "json" };
import { Unavailable } from "../../lib/errors.ts";
import type { ServiceFactory } from "../../lib/service.ts";
import inventory from "../../services/inventory/inventory.service.ts";
import { adminToken, eventually, givenProduct, send } from "../helpers/client.ts";
import { inventoryOf, runSql } from "../helpers/inventory.ts";
import { createDatabase, type Shop, startShop } from "../helpers/shop.ts";

const running: Shop[] = [];
afterEach(async () => {
  for (const shop of running.splice(0)) await shop.stop();
});

async function demo(databaseUrl: string, replace = {}): Promise<Shop> {
  const shop = await startShop({ databaseUrl, replace, env: { SEED: "demo" } });
  running.push(shop);
  return shop;
}

const isFinished = async (databaseUrl: string) => {
  const [row] = await runSql<{ finished: boolean }>(
    { databaseUrl },
    "SELECT finished_at IS NOT NULL AS finished FROM products.seeds",
  );
  return row?.finished === true;
};
const finished = (databaseUrl: string) => eventually(() => isFinished(databaseUrl));

interface Totals {
  products: number;
  categories: number;
  units: number;
  shown: number;
  received: number;
}
async function totals(databaseUrl: string): Promise<Totals | undefined> {
  const [row] = await runSql<Totals>(
    { databaseUrl },
    `SELECT
       (SELECT count(*)::int FROM products.products WHERE withdrawn_at IS NULL) AS products,
       (SELECT count(*)::int FROM products.categories) AS categories,
       (SELECT sum(on_hand)::int FROM inventory.levels) AS units,
       (SELECT sum(stock_quantity)::int FROM products.products) AS shown,
       (SELECT sum(received)::int FROM inventory.levels) AS received`,
  );
  return row;
}
const units = catalogue.products.reduce((sum, { stock }) => sum + stock, 0);
const COMPLETE = { products: 223, categories: 40, units, shown: units, received: units };

describe("the demo catalogue", () => {
  test("is loaded at the first start, with its stock, and never again", async () => {
    const databaseUrl = await createDatabase();
    const first = await demo(databaseUrl);
    await finished(databaseUrl);
    expect(await totals(databaseUrl)).toEqual(COMPLETE);
    const answer = await send(first, "GET", "/api/products?search=HK-COF-0001");
    expect(answer.at("products", 0)).toEqual({
      id: 4,
      sku: "HK-COF-0001",
      name: "Café Lisbonne French press coffee maker, 1 litre",
      description: expect.stringMatching(/./),
      price: 29.99,
      currency: "EUR",
      category: "Coffee Makers",
      category_id: 3,
      stock_quantity: 42,
      images: expect.arrayContaining(["https://images.example.com/products/hk-cof-0001.jpg"]),
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    const token = await adminToken(first);
    await send(first, "DELETE", "/api/products/4", undefined, { token });
    await send(first, "PUT", "/api/products/5/stock", { quantity: 1 }, { token });
    const before = await totals(databaseUrl);
    await first.stop();

    const second = await demo(databaseUrl);
    expect((await send(second, "GET", "/api/products/5")).at("stock_quantity")).toBe(1);
    // The service lets its background work end before it stops.
    await second.stop();
    expect(await totals(databaseUrl)).toEqual(before);
  });

  test("is loaded once by several nodes that start together", async () => {
    const databaseUrl = await createDatabase();
    await Promise.all([demo(databaseUrl), demo(databaseUrl), demo(databaseUrl)]);
    await finished(databaseUrl);
    expect(await totals(databaseUrl)).toEqual(COMPLETE);
  });

  test("is completed by the next start where a node died between products and stock, whatever was sold since", async () => {
    const databaseUrl = await createDatabase();
    const without: ServiceFactory = (broker) => ({
      ...inventory(broker),
      hooks: {
        before: {
          setMany: () => {
            throw new Unavailable({ retry_after: 1 });
          },
        },
      },
    });
    const first = await demo(databaseUrl, { inventory: without });
    await eventually(
      async () =>
        Number((await send(first, "GET", "/api/products?limit=1")).at("pagination", "total")) === 223,
    );
    // What the node that died had set already, and somebody has bought of.
    const warehouse = inventoryOf(first);
    await first.call("inventory.set", { product_id: 4, on_hand: 42 });
    await warehouse.commit(await warehouse.reserved({ product_id: 4, quantity: 2 }));
    expect(await isFinished(databaseUrl)).toBe(false);
    await first.stop();

    const second = await demo(databaseUrl);
    await finished(databaseUrl);
    await eventually(async () => (await send(second, "GET", "/api/products/4")).at("stock_quantity") === 40);
    expect(await totals(databaseUrl)).toEqual({ ...COMPLETE, units: units - 2, shown: units - 2 });
  });

  test("comes as soon as inventory is there, without a restart", async () => {
    const databaseUrl = await createDatabase();
    let refusals = 3;
    const late: ServiceFactory = (broker) => ({
      ...inventory(broker),
      hooks: {
        before: {
          setMany: () => {
            if (refusals-- > 0) throw new Unavailable({ retry_after: 1 });
          },
        },
      },
    });
    await demo(databaseUrl, { inventory: late });
    await finished(databaseUrl);
    expect(await totals(databaseUrl)).toEqual(COMPLETE);
  });

  test("stays away from a shop that has products, and from one that doesn't want it", async () => {
    const databaseUrl = await createDatabase();
    const own = await startShop({ databaseUrl });
    await givenProduct(own, await adminToken(own));
    await own.stop();
    const shop = await demo(databaseUrl);
    await shop.stop();
    expect(await totals(databaseUrl)).toMatchObject({ products: 1, categories: 0 });
  });
});
