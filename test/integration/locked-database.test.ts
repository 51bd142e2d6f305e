import { afterAll, beforeAll, expect, it } from "@jest/globals";
import pg from "pg";
import { adminToken, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** Somebody holds the locks that a checkout needs, as a process does that froze within a transaction. */

let shop: Shop;
let user: TestUser;
let product: number;
let other: pg.Client;

beforeAll(async () => {
  shop = await startShop({ env: { DATABASE_TIMEOUT: "1000" } });
  user = await givenUser(shop);
  product = await givenProduct(shop, await adminToken(shop));
  other = new pg.Client({ connectionString: shop.databaseUrl });
  await other.connect();
});
afterAll(async () => {
  await other.end();
  await shop?.stop();
});

const order = () =>
  send(
    shop,
    "POST",
    "/api/orders",
    {
      shipping_address: "12 Analytical Row",
      items: [{ product_id: product, quantity: 1 }],
      payment_method: "pm_card_visa",
    },
    { token: user.token, headers: { "Idempotency-Key": "locked" } },
  );

it("answers 503 to what waits for a lock in vain, and does it when the lock is free", async () => {
  await other.query("BEGIN; LOCK TABLE orders.checkout_keys");
  const locked = await order();
  expect([locked.status, locked.body.code]).toEqual([503, "SERVICE_UNAVAILABLE"]);
  expect(Number(locked.headers.get("retry-after"))).toBeGreaterThan(0);
  await other.query("ROLLBACK");
  expect((await order()).status).toBe(201);
});
