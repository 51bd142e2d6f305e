import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { productsContract } from "../../services/products/products.contract.ts";
import { eventually, send } from "../helpers/client.ts";
import { fakeService } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const POOL = 2;
const AT_ONCE = 2 * POOL;

describe("an action with a bulkhead", () => {
  let shop: Shop;
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();

  beforeAll(async () => {
    const products = fakeService(productsContract, {
      list: async ({ params: { page = 1 } }) => {
        running++;
        most = Math.max(most, running);
        await gate.promise;
        running--;
        return { products: [], pagination: { page, limit: 20, total: 0, pages: 0 } };
      },
      categories: async () => ({ categories: [] }),
    });
    shop = await startShop({ env: { DATABASE_POOL: String(POOL) }, replace: { products } });
  });
  afterAll(async () => await shop?.stop());

  it("runs a few at once and has the others wait, while other actions go on", async () => {
    const pages = Array.from({ length: 20 }, (_, index) => index + 1);
    const lists = pages.map((page) => send(shop, "GET", `/api/products?page=${page}`));
    await eventually(async () => running >= AT_ONCE);
    // Not held up by those.
    expect((await send(shop, "GET", "/api/categories")).status).toBe(200);
    gate.resolve();
    const answers = await Promise.all(lists);
    expect(answers.map(({ status }) => status)).toEqual(pages.map(() => 200));
    expect(most).toBe(AT_ONCE);
  });
});
