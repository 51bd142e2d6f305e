import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { sequelizeOf } from "../../lib/stores/connect.ts";
import { Database } from "../../lib/stores/database.ts";
import { lockDeadEvents } from "../../lib/stores/event-jobs.ts";
import { databaseIdentity } from "../../lib/stores/job-figures.ts";
import { Jobs } from "../../lib/stores/jobs.ts";
import { adminToken, eventually, givenProduct, givenUser, send } from "../helpers/client.ts";
import { FakeSubscriber, giveUpAfter } from "../helpers/dead-letters.ts";
import { query } from "../helpers/query.ts";
import { createDatabase, type Shop, startShop } from "../helpers/shop.ts";

/** A shop whose orders have a database of their own, and a subscriber that is broken. */
const subscriber = new FakeSubscriber();
let shop: Shop;
let ordersUrl: string;
let token: string;

beforeAll(async () => {
  ordersUrl = await createDatabase();
  shop = await startShop({
    replace: subscriber.services,
    env: { ORDERS_DATABASE_URL: ordersUrl },
  });
  token = await adminToken(shop);
  for (const url of [shop.databaseUrl, ordersUrl]) await giveUpAfter(url, 1);
});
afterAll(() => shop?.stop());

const events = (filter = "") => send(shop, "GET", `/api/admin/events${filter}`, undefined, { token });
const redrive = (body: object) => send(shop, "POST", "/api/admin/events/redrive", body, { token });
const dead = (count: number) =>
  eventually(async () => {
    const answer = await events("?state=dead");
    // They are counted and read side by side: one may have died between.
    const isListed = count === 0 || answer.at("events", count - 1) !== undefined;
    return answer.at("dead") === count && isListed && answer;
  });

async function placeOrder(): Promise<void> {
  const product = await givenProduct(shop, token);
  const items = [{ product_id: product, quantity: 1 }];
  const order = { items, payment_method: "pm_card_visa", shipping_address: "12 Analytical Row" };
  expect((await send(shop, "POST", "/api/orders", order, { token })).status).toBe(201);
}

/** Until nothing is left: what a test has lost is not the next one's. */
async function clear(): Promise<void> {
  subscriber.works = true;
  await redrive({ all: true });
  await eventually(async () => {
    const waiting = "SELECT FROM pgboss.job WHERE name LIKE 'events-%' AND state < 'completed'";
    const left = await Promise.all([shop.databaseUrl, ordersUrl].map((url) => query(url, waiting)));
    return left.flat().length === 0;
  });
  subscriber.works = false;
}

describe("dead letters", () => {
  it("are for admins", async () => {
    const { token: customer } = await givenUser(shop);
    const ask = async (method: string, path: string, body?: object, who?: string) =>
      (await send(shop, method, path, body, { token: who })).status;
    for (const who of [undefined, customer]) {
      const status = who === undefined ? 401 : 403;
      expect(await ask("GET", "/api/admin/events", undefined, who)).toBe(status);
      expect(await ask("POST", "/api/admin/events/redrive", { all: true }, who)).toBe(status);
    }
    await dead(1);
    await clear();
  });

  it("are shown of every database, without personal data, and put back", async () => {
    const { id } = await givenUser(shop);
    await placeOrder();
    const answer = await dead(2);
    expect(answer.body).toMatchObject({
      dead: 2,
      late: 0,
      not_asked: [],
      pagination: { total: 2, pages: 1 },
    });
    expect(JSON.stringify(answer.body)).not.toContain("Ada");
    // Each was given up in a database of its own, in either order.
    const listed = [answer.at("events", 0), answer.at("events", 1)];
    const of = (event: string) => listed.find((one) => Object(one).event === event);
    const [registered, confirmed] = [of("user.registered"), of("order.confirmed")];
    expect(registered).toMatchObject({
      state: "dead",
      subscriber: "notifications",
      event: "user.registered",
      attempts: 1,
      last_error: "SERVICE_UNAVAILABLE",
      data: { user_id: id },
    });
    expect(Object.keys(Object(registered).data)).toEqual(["user_id"]);
    expect(confirmed).toMatchObject({ event: "order.confirmed", data: { status: "confirmed", total: 2999 } });
    expect(Object(confirmed).data).not.toHaveProperty("cart_id");

    const one = await send(shop, "GET", `/api/admin/events/${Object(confirmed).id}`, undefined, { token });
    expect(one.body).toEqual(confirmed);
    expect((await events("?limit=1&page=2")).at("events")).toEqual([listed[1]]);
    expect((await events("?subscriber=analytics")).at("events")).toEqual([]);

    subscriber.works = true;
    subscriber.taken.length = 0;
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => redrive({ ids: [Object(confirmed).id] })),
    );
    // However many ask at once, it is put back once; the others find no dead letter any more.
    const counts = answers.map((one) => [one.status, one.at("redriven"), one.at("not_found", 0)]);
    expect(counts.filter(([, redriven]) => redriven === 1)).toEqual([[200, 1, undefined]]);
    expect(counts.filter(([, redriven]) => redriven === 0)).toHaveLength(3);
    expect((await redrive({ subscriber: "notifications" })).body).toEqual({
      redriven: 1,
      not_found: [],
      not_asked: [],
    });
    await dead(0);
    await eventually(async () => subscriber.taken.length === 2);
    await clear();
    expect(subscriber.taken.sort()).toEqual([Object(registered).event_id, Object(confirmed).event_id].sort());
  });

  it("stay where they are if the process dies before it has committed", async () => {
    await givenUser(shop);
    await dead(1);
    const db = new Database(sequelizeOf(shop.databaseUrl, { DATABASE_POOL: 2, DATABASE_TIMEOUT: 30_000 }));
    const jobs = new Jobs({
      url: shop.databaseUrl,
      pollSeconds: 30,
      timeout: 30_000,
      onError: () => undefined,
    });
    await jobs.start();
    try {
      const died = db.transaction(async (tx) => {
        const ids = await lockDeadEvents(db, tx, "events-notifications-dead", undefined, 10);
        await jobs.redrive(tx, "events-notifications-dead", ids);
        expect(ids).toHaveLength(1);
        // While it is held, another redrive leaves it alone and doesn't wait.
        expect((await redrive({ all: true })).at("redriven")).toBe(0);
        throw new Error("died");
      });
      await expect(died).rejects.toThrow("died");
    } finally {
      await jobs.stop();
      await db.sequelize.close();
    }
    expect((await events()).at("dead")).toBe(1);
    await clear();
  });

  it("are told from what is only late", async () => {
    await giveUpAfter(shop.databaseUrl, 20);
    const refused = subscriber.refused;
    await givenUser(shop);
    await eventually(async () => subscriber.refused > refused);
    await query(
      shop.databaseUrl,
      "UPDATE pgboss.job SET created_on = now() - interval '2 minutes' WHERE name = 'events-notifications' AND state < 'completed'",
    );
    await eventually(async () => {
      const answer = await events("?state=late");
      const tried = Object(answer.at("events", 0)).attempts > 0;
      return answer.at("late") === 1 && answer.at("dead") === 0 && tried;
    });
    // It is still tried: there is nothing to redrive.
    expect((await redrive({ all: true })).at("redriven")).toBe(0);
    const report = await send(shop, "GET", "/api/admin/verify", undefined, { token });
    expect(report.body.notes).toContain("Late events that are still tried: 1.");
    await clear();
  });

  it.each([
    [{}, 422],
    [{ all: true, subscriber: "analytics" }, 422],
    [{ all: false }, 422],
    [{ ids: [] }, 422],
    [{ ids: ["1"] }, 422],
    [{ ids: ["01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11"] }, 200],
    [{ subscriber: "nobody" }, 200],
  ])("redrive of %j answers %i and changes nothing", async (body, status) => {
    const answer = await redrive(body);
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.at("redriven")).toBe(0);
  });

  it("an id that is none is 404, a page too deep 422", async () => {
    const unknown = "/01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11";
    expect((await events(unknown)).status).toBe(404);
    expect((await events("?page=101&limit=100")).status).toBe(422);
  });
});

describe("a database", () => {
  it("is known for the same by all who share it, whatever their rights", async () => {
    const server = new URL(shop.databaseUrl);
    await query(shop.databaseUrl, "CREATE ROLE plain LOGIN PASSWORD 'plain'");
    const plain = new URL(shop.databaseUrl);
    [plain.username, plain.password] = ["plain", "plain"];
    const all = [server.href, plain.href, ordersUrl].map(
      (url) => new Database(sequelizeOf(url, { DATABASE_POOL: 2, DATABASE_TIMEOUT: 30_000 })),
    );
    try {
      const [own, same, other] = await Promise.all(all.map(databaseIdentity));
      expect(same).toBe(own);
      expect(other).not.toBe(own);
    } finally {
      await Promise.all(all.map(({ sequelize }) => sequelize.close()));
    }
  });
});

describe("a publisher that is away", () => {
  it("is named, and the others answer", async () => {
    await shop.broker.destroyService("payments");
    expect((await events()).body).toMatchObject({ events: [], not_asked: ["payments"] });
    expect((await redrive({ all: true })).body).toMatchObject({ redriven: 0, not_asked: ["payments"] });
  });
});
