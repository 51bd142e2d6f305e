import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { adminToken, eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { type NodeProcess, startNode } from "../helpers/node-process.ts";
import { createDatabase, type Shop, startShop } from "../helpers/shop.ts";

/**
 * A node of its own process is killed with SIGKILL while it has an order between any two steps of its saga, and at each
 * place where a participant has done its part and not yet said so. Another node on the same database (this process)
 * finishes or undoes each of them, and the figures add up. (test/cluster/killed-nodes has a process for each point.)
 */

/** ms: short, so that the take-over is soon. */
const ENV = { SAGA_LEASE: "1000" };

/** In the order in which a paid order gets to them. */
const FORWARD = [
  "checkout.reserve.before",
  "inventory.reserve.after",
  "checkout.reserve.after",
  "checkout.await payment.before",
  "checkout.await payment.after",
  "checkout.charge.before",
  "payments.charge.before",
  "payments.charge.after",
  "checkout.charge.after",
  "checkout.confirm.before",
  "checkout.confirm.after",
  "checkout.commit.before",
  "inventory.commit.after",
  "checkout.commit.after",
];
const BACK = [
  "checkout.charge.undo.before",
  "checkout.charge.undo.after",
  "checkout.reserve.undo.before",
  "inventory.release.after",
  "checkout.reserve.undo.after",
];
const CLOSING = [
  "closing.refund.before",
  "payments.refund.after",
  "closing.refund.after",
  "closing.give back.before",
  "inventory.giveBack.after",
  "closing.give back.after",
];

let victim: NodeProcess;
let survivor: Shop;
let user: TestUser;
let admin: string;
/** The product of the order that was held at a point: each has one of its own. */
const products = new Map<string, number>();

beforeAll(async () => {
  const databaseUrl = await createDatabase();
  const points = [...FORWARD, ...BACK, ...CLOSING];
  victim = await startNode({
    ...TEST_ENV,
    ...SECRETS,
    ...ENV,
    DATABASE_URL: databaseUrl,
    HOLD_AT: points.join(),
    // What is held must not be asked for again before the kill.
    REQUEST_TIMEOUT: "60000",
  });
  [user, admin] = await Promise.all([givenUser(victim), adminToken(victim)]);
  // First, and side by side: from the first order on, a request that is held must not come to its end before the kill.
  await Promise.all(
    points.map(async (point) => {
      products.set(point, await givenProduct(victim, admin, { stock_quantity: 10 }));
    }),
  );
  const unanswered: Promise<unknown>[] = [];
  /** The request that gets to the point is never answered. */
  const hold = async (point: string, request: Promise<unknown>) => {
    unanswered.push(request.catch(() => "no answer"));
    await eventually(async () => victim.output().includes(`Held at ${point}\n`));
  };
  for (const point of FORWARD) await hold(point, place(point, "pm_card_visa"));
  for (const point of BACK) await hold(point, place(point, "pm_card_chargeDeclined"));
  const orders = await Promise.all(CLOSING.map((point) => place(point, "pm_card_visa")));
  for (const [index, point] of CLOSING.entries())
    await hold(point, ask(victim, "POST", `/api/orders/${orders[index]?.at("order", "id")}/cancel`, {}));
  await victim.kill("SIGKILL");
  expect(new Set(await Promise.all(unanswered))).toEqual(new Set(["no answer"]));
  survivor = await startShop({ env: ENV, databaseUrl });
}, 60_000);
afterAll(async () => {
  await victim?.kill("SIGKILL");
  await survivor?.stop();
});

const ask = (node: { url: string }, method: string, path: string, body?: object) =>
  send(node, method, path, body, { token: user.token });

/** Orders two of the point's product of the victim. */
async function place(point: string, payment_method: string) {
  const items = [{ product_id: products.get(point), quantity: 2 }];
  return await ask(victim, "POST", "/api/orders", { shipping_address: "Row 12", items, payment_method });
}

/** What has become of the order that was held at a point, once its saga ended. */
async function outcomeOf(point: string) {
  const product = products.get(point) ?? 0;
  const list = await ask(survivor, "GET", "/api/orders?limit=100");
  const orders = Array.isArray(list.body.orders) ? list.body.orders : [];
  const ids = orders.flatMap((order) => {
    if (typeof order !== "object" || order === null || Array.isArray(order)) return [];
    return JSON.stringify(order.items).includes(`"product_id":${product},`) ? [String(order.id)] : [];
  });
  expect(ids).toHaveLength(1);
  await eventually(async () => {
    const sagas = await send(survivor, "GET", "/api/admin/sagas?limit=100", undefined, { token: admin });
    return sagas.status === 200 && !JSON.stringify(sagas.body).includes(`"${ids[0]}"`);
  });
  const { body: order } = await ask(survivor, "GET", `/api/orders/${ids[0]}`);
  const [stock] = await survivor.call("inventory.levels", { product_ids: [product] });
  const { orders: money, violations } = await survivor.call("payments.audit", { order_ids: ids });
  expect(violations).toEqual([]);
  return { order, stock, money: money[0] };
}

describe("an order whose node is killed", () => {
  it.each(FORWARD)("at %s is finished by another, charged once and sold once", async (point) => {
    const { order, stock, money } = await outcomeOf(point);
    expect(order.status).toBe("confirmed");
    expect(stock).toMatchObject({ on_hand: 8, reserved: 0, sold: 2, received: 10 });
    expect(money).toMatchObject({ captures: 1, captured: 5998, refunded: 0, processing: 0 });
  });
});

describe("compensation: a declined order whose node is killed", () => {
  it.each(BACK)("at %s is undone by another, with nothing captured and nothing reserved", async (point) => {
    const { order, stock, money } = await outcomeOf(point);
    expect([order.status, order.cancel_reason]).toEqual(["cancelled", "payment_declined"]);
    expect(stock).toMatchObject({ on_hand: 10, reserved: 0, sold: 0 });
    expect(money?.captured ?? 0).toBe(0);
  });
});

describe("a cancellation whose node is killed", () => {
  it.each(CLOSING)("at %s is finished by another: refunded once and back on the shelf", async (point) => {
    const { order, stock, money } = await outcomeOf(point);
    expect(order.status).toBe("cancelled");
    expect(stock).toMatchObject({ on_hand: 10, reserved: 0, sold: 0 });
    expect(money).toMatchObject({ captures: 1, captured: 5998, refunded: 5998 });
  });
});
