import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { mailSamples } from "../../services/notifications/mailer.ts";
import { dispatch, resend } from "../../services/notifications/outbox.ts";
import type { Transport } from "../../services/notifications/smtp.ts";
import { eventually } from "../helpers/client.ts";
import { TestOutbox } from "../helpers/outbox.ts";
import { haveServers, isFerret, startServer, type TestServer } from "../helpers/servers.ts";
import { headerOf, startSmtp, type TestSmtp } from "../helpers/smtp.ts";

/** When mails are sent, by whom, and what becomes of them, with each kind of store. */

const MINUTE = 60_000;

const hasMongo = haveServers("mongo");
let mongo: TestServer | undefined;

beforeAll(async () => {
  if (hasMongo) mongo = await startServer("mongo");
});
afterAll(async () => await mongo?.remove());

const stores: [string, () => Record<string, string>][] = [["files", () => ({})]];
if (hasMongo) stores.push(["MongoDB", () => ({ MONGO_URL: mongo?.url ?? "" })]);

describe.each(stores)("mails in %s", (name, env) => {
  let outbox: TestOutbox;
  let smtp: TestSmtp;

  beforeAll(async () => {
    outbox = await TestOutbox.start(env());
  });
  afterAll(async () => await outbox?.stop());
  beforeEach(async () => {
    await outbox.empty();
    smtp = await startSmtp();
  });
  afterEach(async () => {
    outbox.closeTransports();
    await smtp.stop();
  });

  const ids = () => smtp.mails.map((mail) => headerOf(mail, "Message-ID"));

  test("go out once, whoever asked how often, and are noted as sent", async () => {
    const id = `${newId()}:email`;
    const mail = {
      channel: "email",
      to: "ada@example.com",
      subject: "Hello",
      body: "Hello\n\nthere",
    } as const;
    for (const _ of [1, 2]) await dispatch(outbox.asleep, id, mail);
    const node = outbox.mailer(outbox.transportTo(smtp.url));
    await node.deliver();
    await dispatch(outbox.asleep, id, mail);
    await node.deliver();
    expect(smtp.mails).toMatchObject([{ to: ["ada@example.com"] }]);
    const [sent = { to: [], text: "" }] = smtp.mails;
    expect(headerOf(sent, "From")).toBe("The Shop <shop@shop.example>");
    expect(headerOf(sent, "To")).toBe("ada@example.com");
    expect(headerOf(sent, "Message-ID")).toMatch(/^<[0-9a-f-]{36}@shop\.example>$/);
    expect(headerOf(sent, "Auto-Submitted")).toBe("auto-generated");
    expect(sent.text).toContain("\r\n\r\nHello\r\n\r\nthere");
    const state = await outbox.stateOf(id);
    expect(state).toMatchObject({ status: "sent", attempts: 1, last_error: null });
    expect(state).not.toHaveProperty("due_at");
    expect(outbox.counted).toEqual(["sent"]);
  });

  const racy = name === "MongoDB" && isFerret ? test.skip : test;
  racy("of several nodes are sent by one of them each, over few connections", async () => {
    for (let index = 0; index < 60; index++) await outbox.given();
    await Promise.all([
      outbox.mailer(outbox.transportTo(smtp.url)).deliver(),
      outbox.mailer(outbox.transportTo(smtp.url)).deliver(),
      outbox.mailer(outbox.transportTo(smtp.url)).deliver(),
    ]);
    expect(smtp.mails).toHaveLength(60);
    expect(new Set(ids()).size).toBe(60);
    expect(smtp.connections()).toBeLessThanOrEqual(12);
  });

  test("wait while the server is away, which is told once, and go when it is back", async () => {
    const { port } = smtp;
    await smtp.stop();
    for (let index = 0; index < 12; index++) await outbox.given();
    const node = outbox.mailer(outbox.transportTo(smtp.url));
    await node.deliver();
    await node.deliver();
    const tried = await outbox.documents.find({ query: { attempts: { $gt: 0 } } });
    // No more than it has connections: the others would fare no better.
    expect([1, 2, 3, 4]).toContain(tried.length);
    for (const mail of tried)
      expect(mail).toMatchObject({ status: "queued", attempts: 1, last_error: "ESOCKET" });
    expect(await mailSamples(outbox.documents)).toMatchObject([
      { name: "molecart_mails_waiting", value: 12 },
      { name: "molecart_mail_oldest_seconds", value: expect.any(Number) },
    ]);
    outbox.clock += 10_000;
    await node.deliver();
    expect(outbox.logged).toEqual([["The mail server takes no mails: they wait", { code: "ESOCKET" }]]);

    smtp = await startSmtp({}, port);
    outbox.clock += 15 * MINUTE;
    await node.deliver();
    expect(smtp.mails).toHaveLength(12);
    expect(await outbox.documents.count({ status: "sent" })).toBe(12);
    expect(outbox.logged.slice(1)).toEqual([["The mail server takes mails again"]]);
    expect(await mailSamples(outbox.documents)).toMatchObject([{ value: 0 }, { value: 0 }]);
  });

  test.each([
    ["from", 451, "EENVELOPE 451"],
    ["from", 553, "EENVELOPE 553"],
    ["rcpt", 450, "EENVELOPE 450"],
    ["rcpt", 421, "ECONNECTION 421"],
    ["data", 452, "EMESSAGE 452"],
  ] as const)("are tried again when %s is answered by %i", async (at, code, last_error) => {
    const id = await outbox.given();
    smtp.refusals.push({ at, code, text: "not now, ada@example.com" });
    const node = outbox.mailer(outbox.transportTo(smtp.url));
    await node.deliver();
    const state = await outbox.stateOf(id);
    expect(state).toMatchObject({ status: "queued", attempts: 1, last_error });
    expect(Date.parse(state.due_at ?? "")).toBe(outbox.clock + 5000);
    await node.deliver();
    expect(await outbox.stateOf(id)).toEqual(state);
    outbox.clock += 5001;
    await node.deliver();
    expect(await outbox.stateOf(id)).toMatchObject({ status: "sent", attempts: 2, last_error: null });
    expect(smtp.mails).toHaveLength(1);
    expect(outbox.counted).toEqual(["deferred", "sent"]);
  });

  test.each([
    ["rcpt", 550, "EENVELOPE 550"],
    ["data", 554, "EMESSAGE 554"],
  ] as const)(
    "are given up when %s is answered by %i, and sent when an admin wants that",
    async (at, code, last_error) => {
      const id = await outbox.given();
      smtp.refusals.push({ at, code, text: "no such user ada@example.com" });
      const node = outbox.mailer(outbox.transportTo(smtp.url));
      await node.deliver();
      const state = await outbox.stateOf(id);
      expect(state).toMatchObject({ status: "failed", last_error });
      expect(state).not.toHaveProperty("due_at");
      expect(outbox.logged).toEqual([["A mail was given up", { id, code: last_error }]]);
      // The next one is not held up.
      const other = await outbox.given();
      await node.deliver();
      expect(await outbox.stateOf(other)).toMatchObject({ status: "sent" });

      expect(await resend(outbox.asleep, id)).toMatchObject({ id, status: "queued", attempts: 0 });
      await expect(resend(outbox.asleep, id)).rejects.toMatchObject({ type: "MAIL_NOT_FAILED" });
      await node.deliver();
      expect(await outbox.stateOf(id)).toMatchObject({ status: "sent" });
      expect(smtp.mails).toHaveLength(2);
    },
  );

  test("are tried ever less often, and given up after three days", async () => {
    await smtp.stop();
    const id = await outbox.given();
    const node = outbox.mailer(outbox.transportTo(smtp.url));
    const waits: number[] = [];
    for (let attempt = 0; attempt < 10; attempt++) {
      await node.deliver();
      const due = Date.parse((await outbox.stateOf(id)).due_at ?? "");
      waits.push((due - outbox.clock) / 1000);
      outbox.clock = due;
    }
    expect(waits).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
    const { queued_at = "" } = await outbox.stateOf(id);
    outbox.clock = Date.parse(queued_at) + 72 * 60 * MINUTE - 1;
    await node.deliver();
    expect(await outbox.stateOf(id)).toMatchObject({ status: "queued", attempts: 11 });
    outbox.clock += 15 * MINUTE;
    await node.deliver();
    expect(await outbox.stateOf(id)).toMatchObject({ status: "failed", attempts: 12, last_error: "ESOCKET" });
  });

  test("whose sender died between the server's yes and the note go again, under the same id", async () => {
    const id = await outbox.given();
    const real = outbox.transportTo(smtp.url);
    const dying = {
      ...real,
      send: (mail: Parameters<Transport["send"]>[0]) =>
        real.send(mail).then(() => new Promise<void>(() => undefined)),
    };
    void outbox.mailer(dying).deliver();
    await eventually(async () => smtp.mails.length === 1);
    const other = outbox.mailer(outbox.transportTo(smtp.url));
    outbox.clock += 89_000;
    await other.deliver();
    expect(smtp.mails).toHaveLength(1);
    outbox.clock += 1000;
    await other.deliver();
    expect(smtp.mails).toHaveLength(2);
    expect(new Set(ids()).size).toBe(1);
    expect(await outbox.stateOf(id)).toMatchObject({ status: "sent", attempts: 2 });
  });

  test("under way end when the node stops, and no more begin", async () => {
    const released = Promise.withResolvers<void>();
    smtp.hold.until = released.promise;
    for (let index = 0; index < 6; index++) await outbox.given();
    const node = outbox.mailer(outbox.transportTo(smtp.url));
    const delivering = node.deliver();
    await eventually(async () => smtp.mails.length === 4);
    let stopped = false;
    const stopping = node.stop().then(() => {
      stopped = true;
    });
    await outbox.given();
    node.wake();
    expect(stopped).toBe(false);
    released.resolve();
    await Promise.all([stopping, delivering]);
    expect(smtp.mails).toHaveLength(4);
    expect(await outbox.documents.count({ status: "sent" })).toBe(4);
    expect(await outbox.documents.count({ status: "queued" })).toBe(3);
  });
});
