import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Redis } from "ioredis";
import { adminToken, eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { type Cluster, healthy, startCluster } from "../helpers/cluster.ts";
import { haveServers } from "../helpers/servers.ts";

/** A checkout over NATS, each of its services in another process; and what is left of it while a server is away. */

const LAYOUT = {
  gateway: "gateway",
  front: "auth,users,cart",
  stock: "products,inventory",
  orders: "orders",
  payments: "payments",
  back: "notifications,analytics",
};

(haveServers("nats", "redis", "mongo") ? describe : describe.skip)("a shop on six nodes", () => {
  let cluster: Cluster;
  let user: TestUser;
  let admin: string;

  beforeAll(async () => {
    cluster = await startCluster(LAYOUT, { servers: ["redis", "mongo"] });
    [user, admin] = await Promise.all([givenUser(cluster), adminToken(cluster)]);
  }, 120_000);
  afterAll(async () => await cluster?.stop(), 60_000);

  const get = (path: string, token?: string) => send(cluster, "GET", path, undefined, { token });
  const addToCart = (product: number, quantity: number) =>
    send(cluster, "POST", "/api/cart/items", { product_id: product, quantity }, { token: user.token });
  const order = (body: object, key: string) =>
    send(
      cluster,
      "POST",
      "/api/orders",
      { shipping_address: "12 Analytical Row", payment_method: "pm_card_visa", ...body },
      { token: user.token, headers: { "Idempotency-Key": key } },
    );
  const pids = () => Object.keys(LAYOUT).map((name) => cluster.node(name).process.pid);

  /** Every node, with what it says is failing; only those that are not ready. */
  async function unready(): Promise<Record<string, string[] | undefined>> {
    const all: [string, string[] | undefined][] = [];
    for (const name of Object.keys(LAYOUT)) all.push([name, await cluster.failing(name)]);
    return Object.fromEntries(all.filter(([, failing]) => failing?.length !== 0));
  }

  it("sells a cart: kept in Redis, paid, taken from stock, told of in MongoDB", async () => {
    const product = await givenProduct(cluster, admin, { price: 29.99, stock_quantity: 10 });
    expect((await addToCart(product, 2)).status).toBe(201);
    const redis = new Redis(cluster.redis.url);
    const keys = await redis.keys("*:kv:*");
    redis.disconnect();
    expect(keys.map((key) => key.split(":")[2])).toEqual(expect.arrayContaining(["cart", "session"]));

    const answer = await order({}, "first");
    expect([answer.status, answer.at("order", "status")]).toEqual([201, "confirmed"]);
    expect(answer.at("order", "total_amount")).toBe(59.98);
    expect((await order({}, "first")).headers.get("idempotent-replayed")).toBe("true");
    expect((await get(`/api/products/${product}`)).at("stock_quantity")).toBe(8);

    const messages = await eventually(async () => {
      const { body } = await get("/api/notifications", user.token);
      return JSON.stringify(body).includes("order.confirmed") && body;
    });
    expect(JSON.stringify(messages)).toContain(String(answer.at("order", "id")));
    const cart = await eventually(async () => {
      const { body } = await get("/api/cart", user.token);
      return body.total_items === 0 && body;
    });
    expect(cart.items).toEqual([]);
  });

  it("refuses a declined card, and leaves nothing behind", async () => {
    const product = await givenProduct(cluster, admin, { stock_quantity: 3 });
    const items = [{ product_id: product, quantity: 3 }];
    const declined = await order({ items, payment_method: "pm_card_chargeDeclined" }, "declined");
    expect([declined.status, declined.body.code]).toEqual([402, "PAYMENT_DECLINED"]);
    expect((await order({ items }, "then")).status).toBe(201);
  });

  it("shows its products without Redis, says 503 for what needs it, and works again when it is back", async () => {
    const product = await givenProduct(cluster, admin, { stock_quantity: 5 });
    const before = pids();
    await cluster.redis.stop();
    for (let round = 0; round < 3; round++) {
      expect((await get(`/api/products/${product}`)).status).toBe(200);
      expect((await get("/api/products?limit=5")).status).toBe(200);
    }
    for (const answer of [
      await get("/api/cart", user.token),
      await order({ items: [{ product_id: product, quantity: 1 }] }, "away"),
      await send(cluster, "POST", "/api/auth/login", { email: user.email, password: user.password }),
    ]) {
      expect([answer.status, Number(answer.headers.get("retry-after")) > 0]).toEqual([503, true]);
    }
    await eventually(async () => (await cluster.failing("front"))?.includes("auth: key-value"));
    expect(Object.keys(await unready())).toEqual(["front"]);

    await cluster.redis.start();
    await eventually(async () => Object.keys(await unready()).length === 0);
    expect((await get("/api/cart", user.token)).status).toBe(200);
    expect((await order({ items: [{ product_id: product, quantity: 1 }] }, "away")).status).toBe(201);
    expect(pids()).toEqual(before);
  });

  it("says 503 without NATS, at once, and works again when it is back, with the same processes", async () => {
    const product = await givenProduct(cluster, admin, { stock_quantity: 5 });
    const before = pids();
    await cluster.nats.stop();
    await eventually(async () => Object.keys(await unready()).length === before.length);
    expect(Object.values(await unready()).every((failing) => failing?.includes("node: nats"))).toBe(true);
    const started = performance.now();
    const away = await get(`/api/products/${product}`);
    expect([away.status, Number(away.headers.get("retry-after")) > 0]).toEqual([503, true]);
    expect(performance.now() - started).toBeLessThan(2_000);

    await cluster.nats.start();
    await eventually(async () => Object.keys(await unready()).length === 0);
    await healthy(cluster);
    expect((await order({ items: [{ product_id: product, quantity: 2 }] }, "after")).status).toBe(201);
    expect(pids()).toEqual(before);
  });

  it("answers every read while NATS is restarted, only later", async () => {
    const product = await givenProduct(cluster, admin);
    await cluster.nats.stop();
    const reads = Array.from({ length: 20 }, () => get(`/api/products/${product}`));
    await cluster.nats.start();
    const statuses = (await Promise.all(reads)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it.each(["cut", "freeze"] as const)(
    "is not ready while Postgres is gone (%s), and sells again when it is back",
    async (how) => {
      const product = await givenProduct(cluster, admin, { stock_quantity: 5 });
      const before = pids();
      const items = [{ product_id: product, quantity: 1 }];
      await cluster.postgres[how]();
      const sqlNodes = ["front", "orders", "payments", "stock"];
      await eventually(
        async () =>
          Object.keys(await unready())
            .sort()
            .join() === sqlNodes.join(),
      );
      expect((await unready()).orders).toContain("orders: database");
      // A frozen server is waited for, as long as a checkout may take.
      const away = how === "cut" && (await order({ items }, `gone-${how}`));
      if (away) {
        expect([away.status, Number(away.headers.get("retry-after")) > 0]).toEqual([503, true]);
        expect(JSON.stringify(away.body)).not.toMatch(/connect|ECONN|sequelize|postgres/i);
      }

      await cluster.postgres.restore();
      await eventually(async () => Object.keys(await unready()).length === 0, 20_000);
      const answer = await eventually(async () => {
        const again = await order({ items }, `gone-${how}`);
        return again.status === 201 && again;
      }, 20_000);
      expect(answer.at("order", "status")).toBe("confirmed");
      expect((await get(`/api/products/${product}`)).at("stock_quantity")).toBe(4);
      expect(pids()).toEqual(before);
    },
  );

  it("notices MongoDB's absence on the node that needs it, and delivers what was missed", async () => {
    const product = await givenProduct(cluster, admin, { stock_quantity: 5 });
    await cluster.mongo.stop();
    await eventually(async () => (await cluster.failing("back"))?.includes("notifications: documents"));
    const answer = await order({ items: [{ product_id: product, quantity: 1 }] }, "no-mongo");
    expect(answer.status).toBe(201);
    await cluster.mongo.start();
    const id = String(answer.at("order", "id"));
    await eventually(async () => {
      const { body } = await get("/api/notifications", user.token).catch(() => ({ body: {} }));
      return JSON.stringify(body).includes(id);
    }, 40_000);
  });
});
