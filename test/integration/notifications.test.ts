import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { send } from "../helpers/client.ts";
import { orderEvent, refundEvent } from "../helpers/envelopes.ts";
import { FakePeople, type FakePerson } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const people = new FakePeople();
let shop: Shop;

beforeAll(async () => {
  shop = await startShop({ replace: people.services });
});
afterAll(() => shop.stop());

const inbox = (user: FakePerson, query = "") =>
  send(shop, "GET", `/api/notifications${query}`, undefined, { token: user.token });
const read = (user: FakePerson, id: unknown) =>
  send(shop, "POST", `/api/notifications/${encodeURIComponent(String(id))}/read`, undefined, {
    token: user.token,
  });
const outbox = (user: FakePerson, query = "") =>
  send(shop, "GET", `/api/admin/outbox${query}`, undefined, { token: user.token });
/** The subjects of what was mailed to somebody, newest first. */
async function mailed({ email }: FakePerson) {
  const answer = await outbox(people.add("admin"), `?to=${encodeURIComponent(email)}`);
  if (answer.status !== 200) throw new Error(`the outbox answered ${answer.status}`);
  return answer.at("messages");
}

describe("in-app messages", () => {
  test.each([
    ["order.placed", "MC-000042", "€29.99"],
    ["order.confirmed", "MC-000042", "€29.99"],
    ["order.processing", "MC-000042", "€29.99"],
    ["order.shipped", "MC-000042", "€29.99"],
    ["order.delivered", "MC-000042", "€29.99"],
    ["order.cancelled", "MC-000042", "€29.99"],
    ["order.refunded", "MC-000042", "€29.99"],
  ] as const)("tell of %s with the order's number and amount", async (event, number, amount) => {
    const user = people.add();
    const envelope = orderEvent(event, { user_id: user.id, reason: "because" });
    await shop.call("notifications.onOrder", envelope);
    const answer = await inbox(user);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      notifications: [
        {
          id: expect.any(String),
          type: event,
          title: expect.stringContaining(number),
          body: expect.stringContaining(amount),
          data: {
            order_id: envelope.data.order_id,
            number,
            status: envelope.data.status,
            total_amount: 29.99,
            currency: "EUR",
            reason: "because",
          },
          read_at: null,
          created_at: envelope.occurred_at,
        },
      ],
      unread: 1,
      pagination: { page: 1, limit: 20, total: 1, pages: 1 },
    });
  });

  test("tell of an event that says more than this version knows: a newer one published it", async () => {
    const user = people.add();
    const { data, ...envelope } = orderEvent("order.shipped", { user_id: user.id });
    const items = data.items.map((item) => ({ ...item, gift: true }));
    const newer = { ...envelope, version: 2, data: { ...data, items, carrier: "x" } };
    await shop.broker.call("notifications.onOrder", newer, { caller: "orders" });
    expect((await inbox(user)).at("notifications")).toMatchObject([
      { type: "order.shipped", data: { order_id: data.order_id, number: "MC-000042" } },
    ]);
  });

  test("tell of a refund, by the order's number where an earlier message named it", async () => {
    const user = people.add();
    const order_id = newId();
    await shop.call("notifications.onPaymentRefunded", refundEvent({ user_id: user.id, order_id }));
    await shop.call("notifications.onOrder", orderEvent("order.confirmed", { user_id: user.id, order_id }));
    const second = refundEvent({ user_id: user.id, order_id, amount: 500, refunded_total: 1500 });
    await shop.call("notifications.onPaymentRefunded", second);
    const bodies = (await inbox(user)).at("notifications");
    expect(bodies).toMatchObject([
      { body: "We have sent you €5.00 of your order MC-000042 back. That makes €15.00 in all." },
      { type: "order.confirmed" },
      { body: "We have sent you €10.00 of your order back.", data: { order_id, amount: 10 } },
    ]);
  });

  test("come newest first by when it happened, in pages, whatever order they were told in", async () => {
    const user = people.add();
    const told = ["10:03", "10:01", "10:05", "10:02", "10:04"].map((time) =>
      orderEvent("order.processing", { user_id: user.id }, { at: `2026-11-20T${time}:00.000Z` }),
    );
    for (const envelope of told) await shop.call("notifications.onOrder", envelope);
    const first = await inbox(user, "?limit=2");
    expect(first.at("pagination")).toEqual({ page: 1, limit: 2, total: 5, pages: 3 });
    expect(first.at("notifications")).toMatchObject([
      { created_at: "2026-11-20T10:05:00.000Z" },
      { created_at: "2026-11-20T10:04:00.000Z" },
    ]);
    expect((await inbox(user, "?limit=2&page=3")).at("notifications")).toMatchObject([
      { created_at: "2026-11-20T10:01:00.000Z" },
    ]);
  });

  test("are written once, however often an event is delivered", async () => {
    const user = people.add();
    const order = orderEvent("order.confirmed", { user_id: user.id });
    const refund = refundEvent({ user_id: user.id, order_id: order.data.order_id });
    const registered = {
      event_id: newId(),
      event: "user.registered" as const,
      occurred_at: order.occurred_at,
      data: { user_id: user.id, first_name: "Ada" },
    };
    for (const _ of [1, 2]) {
      await Promise.all([
        shop.call("notifications.onOrder", order),
        shop.call("notifications.onOrder", order),
        shop.call("notifications.onUserRegistered", registered),
        shop.call("notifications.onUserRegistered", registered),
        shop.call("notifications.onPaymentRefunded", refund),
        shop.call("notifications.onPaymentRefunded", refund),
      ]);
    }
    expect((await inbox(user)).at("pagination", "total")).toBe(2);
    expect(await mailed(user)).toHaveLength(3);
  });

  test("are for people who are logged in", async () => {
    expect((await send(shop, "GET", "/api/notifications")).status).toBe(401);
    expect((await send(shop, "POST", "/api/notifications/x/read")).status).toBe(401);
  });
});

describe("reading", () => {
  test("marks a message once and for all", async () => {
    const user = people.add();
    for (const event of ["order.confirmed", "order.shipped"] as const) {
      await shop.call("notifications.onOrder", orderEvent(event, { user_id: user.id }));
    }
    const id = (await inbox(user)).at("notifications", 0, "id");
    const [first, second] = await Promise.all([read(user, id), read(user, id)]);
    expect([first?.status, second?.status]).toEqual([200, 200]);
    expect(first?.at("read_at")).toEqual(expect.any(String));
    const again = await read(user, id);
    expect([second?.body, again.body]).toEqual([first?.body, first?.body]);

    const unread = await inbox(user, "?unread=true");
    expect(unread.body).toMatchObject({ unread: 1, pagination: { total: 1 } });
    expect(unread.at("notifications", 0, "id")).not.toBe(id);
    const done = await inbox(user, "?unread=false");
    expect(done.body).toMatchObject({
      unread: 1,
      pagination: { total: 1 },
      notifications: [{ id: id ?? "" }],
    });
    expect((await inbox(user)).body).toMatchObject({ unread: 1, pagination: { total: 2 } });
  });

  test("another user's message, or none, is a 404 and stays unread", async () => {
    const [user, other] = [people.add(), people.add()];
    await shop.call("notifications.onOrder", orderEvent("order.confirmed", { user_id: user.id }));
    const id = (await inbox(user)).at("notifications", 0, "id");
    for (const tried of [id, "nothing"]) {
      const answer = await read(other, tried);
      expect([answer.status, answer.at("code")]).toEqual([404, "NOT_FOUND"]);
    }
    expect((await inbox(user)).at("unread")).toBe(1);
  });

  test("a mail is no message of the inbox", async () => {
    const admin = people.add("admin");
    const user = people.add();
    await shop.call("notifications.onOrder", orderEvent("order.shipped", { user_id: user.id }));
    const mail = (await outbox(admin, `?to=${encodeURIComponent(user.email)}`)).at("messages", 0, "id");
    expect(mail).toEqual(expect.any(String));
    expect((await read(user, mail)).status).toBe(404);
  });
});

describe("mails", () => {
  test.each([
    ["order.placed", 0],
    ["order.confirmed", 1],
    ["order.processing", 0],
    ["order.shipped", 1],
    ["order.delivered", 0],
    ["order.cancelled", 1],
    ["order.refunded", 1],
  ] as const)("for %s: %i", async (event, count) => {
    const user = people.add();
    await shop.call("notifications.onOrder", orderEvent(event, { user_id: user.id }));
    expect(await mailed(user)).toHaveLength(count);
  });

  test("are kept in the outbox, with whom they are for", async () => {
    const user = people.add();
    await shop.call("notifications.onUserRegistered", {
      event_id: newId(),
      event: "user.registered",
      occurred_at: new Date().toISOString(),
      data: { user_id: user.id, first_name: "Ada" },
    });
    expect(await mailed(user)).toEqual([
      {
        id: expect.any(String),
        channel: "email",
        to: user.email,
        subject: "Welcome to Molecart",
        body: expect.stringContaining("Hello Ada"),
        status: "kept",
        attempts: 0,
        last_error: null,
        next_attempt_at: null,
        created_at: expect.any(String),
      },
    ]);
  });

  test("go to nobody when the account is gone, and the event is done with", async () => {
    const user = people.add();
    people.remove(user.id);
    const envelope = orderEvent("order.confirmed", { user_id: user.id });
    await expect(shop.call("notifications.onOrder", envelope)).resolves.toBeNull();
    expect(await mailed(user)).toEqual([]);
  });

  test("of sendMail are written once for each key", async () => {
    const user = people.add();
    const mail = { key: `reset:${user.id}`, to: user.email, subject: "Reset your password", body: "…" };
    await Promise.all([shop.call("notifications.sendMail", mail), shop.call("notifications.sendMail", mail)]);
    await shop.call("notifications.sendMail", { ...mail, key: `${mail.key}:2`, subject: "Again" });
    const both = [
      expect.objectContaining({ subject: "Reset your password", status: "kept" }),
      expect.objectContaining({ subject: "Again" }),
    ];
    const kept = await mailed(user);
    expect(kept).toHaveLength(2);
    expect(kept).toEqual(expect.arrayContaining(both));
  });

  test("are for admins to see, in pages", async () => {
    const admin = people.add("admin");
    for (const index of [1, 2, 3]) {
      const mail = { key: newId(), to: admin.email, subject: `No ${index}`, body: "…" };
      await shop.call("notifications.sendMail", mail);
    }
    const page = await outbox(admin, `?limit=2&to=${encodeURIComponent(admin.email)}`);
    expect(page.body).toMatchObject({ messages: [{}, {}], pagination: { total: 3, pages: 2 } });
    const times = (await outbox(admin)).at("messages");
    if (!Array.isArray(times)) throw new Error("no messages");
    const created = times.map(
      (message) => JSON.stringify(message).match(/"created_at":"([^"]+)"/)?.[1] ?? "",
    );
    expect(created.length).toBeGreaterThanOrEqual(3);
    expect(created).toEqual([...created].sort().reverse());
    expect((await outbox(people.add())).status).toBe(403);
    expect((await send(shop, "GET", "/api/admin/outbox")).status).toBe(401);
  });
});

describe("low stock", () => {
  test("is told to every admin, and to nobody else", async () => {
    const [one, other, customer] = [people.add("admin"), people.add("admin"), people.add()];
    const envelope = {
      event_id: newId(),
      event: "stock.low" as const,
      occurred_at: new Date().toISOString(),
      data: { product_id: 7, available: 2, threshold: 5 },
    };
    await shop.call("notifications.onStockLow", envelope);
    await shop.call("notifications.onStockLow", envelope);
    const message = { type: "stock.low", data: envelope.data, read_at: null };
    expect((await inbox(one)).at("notifications")).toMatchObject([message]);
    expect((await inbox(other)).at("notifications")).toMatchObject([message]);
    expect((await inbox(customer)).at("notifications")).toEqual([]);

    const id = (await inbox(one)).at("notifications", 0, "id");
    expect((await read(customer, id)).status).toBe(404);
    expect((await read(one, id)).status).toBe(200);
    // One inbox for all of them.
    expect((await inbox(other)).at("unread")).toBe(0);
  });
});

describe("the audit", () => {
  test("counts what each order's customer was told, and shows an event published twice", async () => {
    const [good, twice] = [newId(), newId()];
    const user_id = people.add().id;
    const confirmed = orderEvent("order.confirmed", { order_id: good, user_id });
    await shop.call("notifications.onOrder", confirmed);
    await shop.call("notifications.onOrder", confirmed);
    for (const amount of [100, 200]) {
      await shop.call("notifications.onPaymentRefunded", refundEvent({ order_id: good, user_id, amount }));
    }
    for (const _ of [1, 2]) {
      await shop.call("notifications.onOrder", orderEvent("order.shipped", { order_id: twice, user_id }));
    }
    const rows = await shop.call("notifications.audit", { order_ids: [good, twice, newId()] });
    expect(rows).toHaveLength(4);
    expect(rows).toEqual(
      expect.arrayContaining([
        { order_id: good, type: "order.confirmed", count: 1 },
        { order_id: good, type: "payment.refunded", count: 1 },
        { order_id: twice, type: "order.shipped", count: 2 },
      ]),
    );
  });
});
