import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type SeedOptions, seed } from "../../cli/actions/seed.ts";
import { madeUpProduct, seededSku } from "../../cli/lib/made-up.ts";
import { molecart } from "../helpers/cli.ts";
import { adminToken, eventually, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { act, adminOf, withDirectory } from "./support.ts";

let shop: Shop;
let token: string;
let env: Record<string, string>;
beforeAll(async () => {
  shop = await startShop();
  token = await adminToken(shop);
  env = adminOf(shop);
});
afterAll(() => shop?.stop());

/** Each test has a seed of its own. */
const run = (options: Partial<SeedOptions> & { seed: number }, signal?: AbortSignal) =>
  act((io) => seed({ products: 0, users: 0, orders: 0, json: true, ...options }, io), { env, signal });

const totalOf = async (path: string) =>
  (await send(shop, "GET", path, undefined, { token })).at("pagination", "total");
const productsOf = (seedNumber: number) => totalOf(`/api/products?search=SEED${seedNumber}N&limit=1`);

describe("molecart seed", () => {
  it("makes the products of a seed, the same each time, and none twice", async () => {
    const first = await run({ seed: 101, products: 600 });
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.lines().at(-1)).toEqual({
      type: "summary",
      seed: 101,
      products: { wanted: 600, present: 0, created: 600, failed: 0 },
    });
    const sku = seededSku(101, 599);
    const found = await send(shop, "GET", `/api/products?search=${sku}&limit=1`);
    const { name, price, stock_quantity } = madeUpProduct(101, 599);
    expect(found.at("products", 0)).toMatchObject({ sku, name, price, stock_quantity });
    const again = await run({ seed: 101, products: 600 });
    expect(Object(again.lines().at(-1)).products).toMatchObject({ created: 0, present: 600 });
    const more = await run({ seed: 101, products: 700 });
    expect(Object(more.lines().at(-1)).products).toMatchObject({ created: 100 });
    expect(await productsOf(101)).toBe(700);
  });

  it("goes on where it was stopped, with the batch that was under way", async () => {
    const stop = new AbortController();
    const stopped = run({ seed: 102, products: 1300 }, stop.signal);
    await eventually(async () => Number(await productsOf(102)) > 0);
    stop.abort();
    expect(await stopped).toMatchObject({ code: 2 });
    expect((await stopped).stderr).toContain("Run it again with the same seed to go on.");
    const there = Number(await productsOf(102));
    expect(there).toBeGreaterThan(0);
    expect(there).toBeLessThan(1300);
    expect(await run({ seed: 102, products: 1300 })).toMatchObject({ code: 0 });
    expect(await productsOf(102)).toBe(1300);
  }, 60_000);

  it("begins no other kind after Ctrl-C, and tells of none", async () => {
    const stopped = await run({ seed: 105, products: 10, users: 2, orders: 2 }, AbortSignal.abort());
    expect(stopped).toMatchObject({ code: 2 });
    expect(await totalOf("/api/users?search=seed-105-&limit=1")).toBe(0);
  });

  it("killed and run again it makes exactly what was asked for", async () => {
    const killed = new AbortController();
    const process = molecart(["seed", "--seed", "103", "--products", "3000"], env, [], killed.signal);
    // A process has to start first.
    await eventually(async () => Number(await productsOf(103)) > 0, 30_000);
    killed.abort();
    expect((await process).code).toBeNull();
    expect(Number(await productsOf(103))).toBeLessThan(3000);
    const again = await molecart(["seed", "--seed", "103", "--products", "3000"], env);
    expect(again.code).toBe(0);
    expect(await productsOf(103)).toBe(3000);
    const last = await send(shop, "GET", `/api/products?search=${seededSku(103, 2999)}&limit=1`);
    expect(last.at("products", 0, "stock_quantity")).toBe(madeUpProduct(103, 2999).stock_quantity);
  }, 60_000);

  it("makes users and their orders, once", async () => {
    const options = { seed: 104, products: 30, users: 4, orders: 10 };
    const first = await run(options);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.lines().at(-1)).toMatchObject({ users: { created: 4 }, orders: { created: 10, failed: 0 } });
    const orders = await totalOf("/api/orders/all?limit=1");
    const again = await run(options);
    expect(again.lines().at(-1)).toMatchObject({
      users: { created: 0, present: 4 },
      orders: { created: 0, present: 10 },
    });
    const more = await run({ ...options, orders: 13 });
    expect(more.lines().at(-1)).toMatchObject({ orders: { created: 3, present: 10 } });
    expect(await totalOf("/api/orders/all?limit=1")).toBe(Number(orders) + 3);
  });

  it("takes a file too, and nothing with --dry-run", async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "p.ndjson");
      await writeFile(file, '{"sku":"FILED-1","name":"Filed thing","price":3}\n');
      const dry = await act(
        (io) => seed({ products: 5, users: 0, orders: 0, seed: 105, file, dryRun: true }, io),
        { env },
      );
      expect(dry).toMatchObject({
        code: 0,
        stdout: `Would make sure of 5 products, 0 users, 0 orders of seed 105 and import ${file}.\n`,
      });
      expect(await totalOf("/api/products?search=FILED1")).toBe(0);
      expect(await run({ seed: 105, file })).toMatchObject({ code: 0 });
      expect(await totalOf("/api/products?search=FILED1")).toBe(1);
    });
  });

  it("wants to know what to make", async () => {
    expect(await run({ seed: 1 })).toMatchObject({ code: 2, stdout: "" });
    expect(await run({ seed: 1, orders: 2 })).toMatchObject({ code: 2, stdout: "" });
  });
});
