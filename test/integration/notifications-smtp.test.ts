import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { eventually, send } from "../helpers/client.ts";
import { orderEvent, refundEvent } from "../helpers/envelopes.ts";
import { FakePeople, type FakePerson } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { headerOf, startSmtp, type TestSmtp } from "../helpers/smtp.ts";

/** A shop with a mail server. (How mails are sent, retried and given up: notifications-mailer.test.ts; how they look: notifications-smtp-server.test.ts.) */

const people = new FakePeople();
const admin = people.add("admin");
let smtp: TestSmtp;
let shop: Shop;

beforeAll(async () => {
  smtp = await startSmtp();
  const env = { SMTP_URL: smtp.url, MAIL_FROM: "Molecart <shop@shop.example>" };
  shop = await startShop({ env, replace: people.services });
});
afterAll(async () => {
  await shop?.stop();
  await smtp?.stop();
});
beforeEach(() => {
  smtp.mails.length = 0;
});

const ask = (method: "GET" | "POST", path: string) =>
  send(shop, method, path, undefined, { token: admin.token });
const messagesOf = async ({ email }: FakePerson, more = "") =>
  (await ask("GET", `/api/admin/outbox?to=${encodeURIComponent(email)}${more}`)).at("messages");
const received = ({ email }: FakePerson) => smtp.mails.filter(({ to }) => to.includes(email));
/** The one message of somebody, once it has come to this. */
const whenIt = (person: FakePerson, status: string) =>
  eventually(async () => {
    const [message] = Object(await messagesOf(person, `&status=${status}`));
    return message === undefined ? undefined : Object(message);
  });

test("a mail leaves at once, once for an event that is delivered twice", async () => {
  const user = people.add();
  const registered = {
    event_id: newId(),
    event: "user.registered" as const,
    occurred_at: new Date().toISOString(),
    data: { user_id: user.id, first_name: "Ada" },
  };
  await Promise.all([1, 2].map(() => shop.call("notifications.onUserRegistered", registered)));
  const message = await whenIt(user, "sent");
  await shop.call("notifications.onUserRegistered", registered);
  expect(message).toMatchObject({ attempts: 1, last_error: null, next_attempt_at: null });
  expect(received(user).map((mail) => headerOf(mail, "Subject"))).toEqual(["Welcome to Molecart"]);
});

test("nobody waits for the mail server", async () => {
  const released = Promise.withResolvers<void>();
  smtp.hold.until = released.promise;
  try {
    const user = people.add();
    const key = newId();
    await shop.call("notifications.sendMail", { key, to: user.email, subject: "A code", body: "…" });
    expect(await messagesOf(user)).toMatchObject([{ status: "queued", next_attempt_at: expect.any(String) }]);
    released.resolve();
    await whenIt(user, "sent");
  } finally {
    smtp.hold.until = Promise.resolve();
    released.resolve();
  }
});

test("a mail that was refused is shown with its code, and an admin has it sent again", async () => {
  const user = people.add();
  smtp.refusals.push({ at: "rcpt", code: 550, text: `no ${user.email} here` });
  await shop.call("notifications.sendMail", { key: newId(), to: user.email, subject: "A code", body: "…" });
  const { id } = await whenIt(user, "failed");
  expect(await messagesOf(user)).toMatchObject([{ attempts: 1, last_error: "EENVELOPE 550" }]);
  const path = `/api/admin/outbox/${encodeURIComponent(String(id))}/resend`;
  const again = await ask("POST", path);
  expect([again.status, again.at("status")]).toEqual([200, "queued"]);
  await whenIt(user, "sent");
  expect(received(user)).toHaveLength(1);

  const refused = await ask("POST", path);
  expect([refused.status, refused.at("code")]).toEqual([409, "MAIL_NOT_FAILED"]);
  expect((await ask("POST", "/api/admin/outbox/nothing/resend")).status).toBe(404);
});

describe("of an order that a load generator made", () => {
  test("mails are kept, those of its refunds, too", async () => {
    const [user, order_id] = [people.add(), newId()];
    const synthetic = { user_id: user.id, order_id, synthetic: true };
    await shop.call("notifications.onOrder", orderEvent("order.confirmed", synthetic));
    await shop.call("notifications.onPaymentRefunded", refundEvent({ user_id: user.id, order_id }));
    expect(await messagesOf(user, "&status=kept")).toHaveLength(2);
    expect(await messagesOf(user)).toHaveLength(2);
    const other = people.add();
    await shop.call("notifications.onOrder", orderEvent("order.confirmed", { user_id: other.id }));
    await whenIt(other, "sent");
    expect(received(user)).toEqual([]);
  });

  test("a refund waits until its order was heard of", async () => {
    const [user, order_id] = [people.add(), newId()];
    const refund = refundEvent({ user_id: user.id, order_id });
    await expect(shop.call("notifications.onPaymentRefunded", refund)).rejects.toMatchObject({
      type: "SERVICE_UNAVAILABLE",
    });
    const order = { user_id: user.id, order_id, synthetic: true };
    await shop.call("notifications.onOrder", orderEvent("order.cancelled", order));
    await shop.call("notifications.onPaymentRefunded", refund);
    expect(await messagesOf(user, "&status=kept")).toHaveLength(2);
  });
});

test("a node stops in time when the mail server does not answer", async () => {
  const silent = await startSmtp();
  silent.hold.until = new Promise(() => undefined);
  const env = { SMTP_URL: silent.url, MAIL_FROM: "shop@shop.example", SHUTDOWN_TIMEOUT: "100" };
  const own = await startShop({ env, replace: people.services });
  const user = people.add();
  await own.call("notifications.sendMail", { key: newId(), to: user.email, subject: "A code", body: "…" });
  await eventually(async () => silent.mails.length === 1);
  await own.stop();
  await silent.stop();
});
