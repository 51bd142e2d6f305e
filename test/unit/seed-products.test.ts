import { createServer } from "node:http";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { firstMissing } from "../../cli/actions/seed-products.ts";
import { createClient } from "../../cli/lib/client.ts";

/** A shop without a product, which counts what it is asked. */
let asked = 0;
const shop = createServer((_, response) => {
  asked++;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ products: [], pagination: { page: 1, limit: 5, total: 0, pages: 0 } }));
});
let url: string;
beforeAll(async () => {
  await new Promise<void>((listening) => shop.listen(0, "127.0.0.1", listening));
  const address = shop.address();
  url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
});
afterAll(() => {
  shop.close();
  shop.closeAllConnections();
});

it("a seed that is new to the shop begins after one look, however much is to be made", async () => {
  expect(await firstMissing(createClient(url), 7, 100_000, new AbortController().signal)).toBe(0);
  expect(asked).toBe(1);
});
