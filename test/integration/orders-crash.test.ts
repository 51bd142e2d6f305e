import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { adminToken, eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { startNode } from "../helpers/node-process.ts";
import { createDatabase, type Shop, startShop } from "../helpers/shop.ts";

/**
 * A node of its own process kills itself with SIGKILL between two steps of the saga; another node on the same database
 * (this process) finishes or undoes the order, and the figures add up.
 */

/** ms: short, so that the take-over is soon. */
const ENV = { SAGA_LEASE: "500" };

let survivor: Shop;
let user: TestUser;
let admin: string;

beforeAll(async () => {
  survivor = await startShop({ env: ENV, databaseUrl: await createDatabase() });
  [user, admin] = await Promise.all([givenUser(survivor), adminToken(survivor)]);
});
afterAll(async () => await survivor?.stop());

/** Places an order on a node that dies at `point`. @returns the order as the survivor knows it, once its saga ended */
async function crashAt(point: string, paymentMethod: string) {
  const product = await givenProduct(survivor, admin, { stock_quantity: 10 });
  const node = await startNode({
    ...TEST_ENV,
    ...SECRETS,
    ...ENV,
    DATABASE_URL: survivor.databaseUrl,
    CRASH_AT: point,
  });
  try {
    const body = {
      shipping_address: "12 Analytical Row",
      items: [{ product_id: product, quantity: 2 }],
      payment_method: paymentMethod,
    };
    const answer = await send(node, "POST", "/api/orders", body, { token: user.token }).catch(
      () => undefined,
    );
    expect(answer).toBeUndefined();
    expect(await node.exited).toBe("SIGKILL");
  } finally {
    node.process.kill("SIGKILL");
  }
  const { rows } = await ordersOf(product);
  const [id] = rows;
  const order = await eventually(async () => {
    const { body } = await send(survivor, "GET", `/api/orders/${id}`, undefined, { token: admin });
    const sagas = await send(survivor, "GET", "/api/admin/sagas", undefined, { token: admin });
    return sagas.at("pagination", "total") === 0 && body.status !== "pending" && body;
  }, 20_000);
  const stock = await survivor.call("inventory.levels", { product_ids: [product] });
  const payments = await survivor.call("payments.audit", { order_ids: [String(id)] });
  return { order, stock: stock[0], money: payments.orders[0], violations: payments.violations };
}

async function ordersOf(product: number) {
  const list = await send(survivor, "GET", "/api/orders?limit=100", undefined, { token: user.token });
  const orders = Array.isArray(list.body.orders) ? list.body.orders : [];
  const rows = orders.flatMap((order) => {
    if (typeof order !== "object" || order === null || Array.isArray(order)) return [];
    return JSON.stringify(order.items).includes(`"product_id":${product},`) ? [order.id] : [];
  });
  return { rows };
}

describe("a node that is killed", () => {
  const points = [
    "checkout.reserve.before",
    "checkout.reserve.after",
    "checkout.charge.before",
    "checkout.charge.after",
    "checkout.confirm.before",
    "checkout.confirm.after",
    "checkout.commit.before",
    "checkout.commit.after",
  ];
  for (const point of points) {
    it(`at ${point}: another finishes the order, charged once and sold once`, async () => {
      const { order, stock, money, violations } = await crashAt(point, "pm_card_visa");
      expect(order.status).toBe("confirmed");
      expect(stock).toMatchObject({ on_hand: 8, reserved: 0, sold: 2, received: 10 });
      expect(money).toMatchObject({ captures: 1, captured: 5998, refunded: 0, processing: 0 });
      expect(violations).toEqual([]);
    });
  }
});

describe("a node that is killed while it compensates", () => {
  const points = [
    "checkout.charge.undo.before",
    "checkout.charge.undo.after",
    "checkout.reserve.undo.before",
    "checkout.reserve.undo.after",
  ];
  for (const point of points) {
    it(`at ${point}: another undoes the order, with nothing captured and nothing reserved`, async () => {
      const { order, stock, money } = await crashAt(point, "pm_card_chargeDeclined");
      expect([order.status, order.cancel_reason]).toEqual(["cancelled", "payment_declined"]);
      expect(stock).toMatchObject({ on_hand: 10, reserved: 0, sold: 0 });
      expect(money?.captured ?? 0).toBe(0);
    });
  }
});
