import { expect, it } from "@jest/globals";
import { givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { ClientLog, type Item, tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";

/** Nothing is broken here: there are only many buyers at once, through two gateways. */

const LAYOUT = {
  "gateway-1": "gateway",
  "gateway-2": "gateway",
  "front-1": "auth,users,cart",
  "front-2": "auth,users,cart",
  "stock-1": "products,inventory",
  "stock-2": "products,inventory",
  "orders-1": "orders,payments",
  "orders-2": "orders,payments,notifications,analytics",
};
const PATIENCE = 60_000;
const CROWD = 1_000;
/** Accounts that are opened side by side: hashing their passwords is what takes time. */
const AT_ONCE = 16;

describeCluster("many buyers at once", LAYOUT, {}, (cluster) => {
  let user: TestUser;
  let log: ClientLog;

  const clients = () => new ClientLog(() => [cluster.node("gateway-1"), cluster.node("gateway-2")]);
  const givenUsers = async (count: number): Promise<TestUser[]> => {
    const users: TestUser[] = [];
    while (users.length < count) {
      const more = Math.min(AT_ONCE, count - users.length);
      users.push(...(await Promise.all(Array.from({ length: more }, () => givenUser(cluster)))));
    }
    return users;
  };
  const levelOf = async (product: number) =>
    (
      await cluster.sql("SELECT on_hand, reserved, sold::int FROM inventory.levels WHERE product_id = $1", [
        product,
      ])
    )[0];

  it("makes one order of one submit that is sent 50 times at once over two gateways", async () => {
    log = clients();
    user = await givenUser(cluster);
    const product_id = await givenProduct(cluster, cluster.admin, { stock_quantity: 100 });
    const submit = () =>
      log.order(user, [{ product_id, quantity: 1 }], { key: "the-same-click", patience: PATIENCE });
    const entries = await Promise.all(Array.from({ length: 50 }, submit));
    tell("the same submit 50 times at once", log);
    expect(log.entries).toHaveLength(1);
    expect(entries[0]?.said.filter((said) => said === "201")).toHaveLength(50);
    expect(entries[0]?.orders.size).toBe(1);
    await cluster.expectSound(log);
    expect(await levelOf(product_id)).toEqual({ on_hand: 99, reserved: 0, sold: 1 });
  });

  it("refuses a key with another body, and keeps the keys of two users apart", async () => {
    log = clients();
    user = await givenUser(cluster);
    const other = await givenUser(cluster);
    const product_id = await givenProduct(cluster, cluster.admin, { stock_quantity: 100 });
    const key = "somebodys-key";
    const body = (quantity: number) => ({
      shipping_address: "12 Analytical Row",
      items: [{ product_id, quantity }],
      payment_method: "pm_card_visa",
    });
    const first = await log.order(user, [{ product_id, quantity: 1 }], { key });
    const changed = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        send(cluster, "POST", "/api/orders", body(2 + i), {
          token: user.token,
          headers: { "Idempotency-Key": key },
        }),
      ),
    );
    const theirs = await log.order(other, [{ product_id, quantity: 3 }], { key });
    const refusals = new Set(changed.map((answer) => `${answer.status} ${answer.body.code}`));
    tell("the same key with another body", `20 told ${[...refusals]}`);
    tell("the same key from another user", log);
    expect([...refusals]).toEqual(["422 IDEMPOTENCY_MISMATCH"]);
    expect([first.outcome, theirs.outcome]).toEqual(["acknowledged", "acknowledged"]);
    expect(new Set([...first.orders, ...theirs.orders]).size).toBe(2);
    await cluster.expectSound(log);
    expect(await levelOf(product_id)).toEqual({ on_hand: 96, reserved: 0, sold: 4 });
  });

  it("sells the last 10 units to 10 of 1,000 buyers", async () => {
    log = clients();
    const product_id = await givenProduct(cluster, cluster.admin, { stock_quantity: 10 });
    const buyers = await givenUsers(CROWD);
    const started = performance.now();
    await Promise.all(
      buyers.map((buyer) => log.order(buyer, [{ product_id, quantity: 1 }], { patience: PATIENCE })),
    );
    tell(
      "1,000 buyers for the last 10 units",
      log,
      `${((performance.now() - started) / 1000).toFixed(1)} s in all`,
    );
    expect([log.count("acknowledged"), log.count("refused")]).toEqual([10, CROWD - 10]);
    await cluster.expectSound(log);
    expect(await levelOf(product_id)).toEqual({ on_hand: 0, reserved: 0, sold: 10 });
  }, 180_000);

  it("sells carts that hold the same products in opposite order", async () => {
    log = clients();
    const products: number[] = [];
    for (let i = 0; i < 4; i++)
      products.push(await givenProduct(cluster, cluster.admin, { stock_quantity: 200 }));
    const buyers = await givenUsers(40);
    const carts = buyers.map((buyer, i): [TestUser, Item[]] => [
      buyer,
      (i % 2 === 0 ? products : products.toReversed()).map((product_id) => ({ product_id, quantity: 1 })),
    ]);
    for (const [buyer, items] of carts)
      for (const item of items) await send(cluster, "POST", "/api/cart/items", item, { token: buyer.token });
    await Promise.all(
      carts.map(([buyer, items]) => log.order(buyer, items, { cart: true, patience: PATIENCE })),
    );
    tell("carts with the same products in opposite order", log);
    expect(log.count("acknowledged")).toBe(40);
    await cluster.expectSound(log);
    for (const product of products)
      expect(await levelOf(product)).toEqual({ on_hand: 160, reserved: 0, sold: 40 });
  }, 120_000);
});
