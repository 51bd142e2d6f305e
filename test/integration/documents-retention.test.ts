import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { brokerOptions } from "../../lib/broker.ts";
import { loadConfig } from "../../lib/config.ts";
import { newId } from "../../lib/ids.ts";
import type { Documents } from "../../lib/stores/documents.ts";
import { OldDocuments } from "../../lib/stores/old-documents.ts";
import type { AnalyticsDocument } from "../../services/analytics/analytics.model.ts";
import analytics from "../../services/analytics/analytics.service.ts";
import type { NotificationDocument } from "../../services/notifications/notifications.model.ts";
import notifications from "../../services/notifications/notifications.service.ts";
import { eventually } from "../helpers/client.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";

/** Old documents are forgotten in time, in either store: messages, and what visitors did. What became of orders is not. */

const hasMongo = haveServers("mongo");
let mongo: TestServer | undefined;
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "molecart-retention-"));
  if (hasMongo) mongo = await startServer("mongo");
});
afterAll(async () => {
  await mongo?.remove();
  await rm(dataDir, { recursive: true, force: true });
});

/** A node that runs one service alone and keeps its documents for the next one. */
async function startNode<D extends { _id: string }>(
  define: typeof analytics | typeof notifications,
  env: Record<string, string>,
) {
  const own = { NODE_ENV: "development", DATA_DIR: dataDir, LOG_FORMAT: "json" };
  const config = loadConfig({ ...TEST_ENV, ...own, ...env }, { databaseUrl: "", secrets: SECRETS });
  const broker = new ServiceBroker(brokerOptions(config));
  const service: { documents?: Documents<D> } = broker.createService(define(broker));
  await broker.start();
  if (!service.documents) throw new Error("No documents.");
  return { broker, documents: service.documents };
}

async function insertAll<D extends { _id: string }>(documents: Documents<D>, all: readonly D[]) {
  await Promise.all(all.map((document) => documents.insertOnce(document)));
}

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

const behaviour = (days: number): AnalyticsDocument => ({
  _id: newId(),
  at: daysAgo(days),
  kind: days % 2 === 0 ? "visit" : "other",
  type: "visit",
  visitor: `client:${newId()}`,
  properties: "{}",
});

const stores: [string, () => Record<string, string>][] = [["NeDB", () => ({})]];
if (hasMongo) stores.push(["MongoDB", () => ({ MONGO_URL: mongo?.url ?? "" })]);

const message = (days: number, read_at: string | null = null): NotificationDocument => ({
  _id: `${newId()}:in_app`,
  channel: "in_app",
  user_id: newId(),
  type: "order.confirmed",
  title: "Your order is confirmed",
  body: "Thank you!",
  data: { number: "MC-000042" },
  order_id: newId(),
  read_at,
  created_at: daysAgo(days),
});
const mail = (days: number): NotificationDocument => ({
  _id: `${newId()}:email`,
  channel: "email",
  to: "ada@example.com",
  subject: "Your order is confirmed",
  body: "Thank you!",
  status: "kept",
  created_at: daysAgo(days),
});

describe.each(stores)("documents in %s", (_name, env) => {
  it("forget messages and mails before NOTIFICATION_RETENTION_DAYS, read or not, however many", async () => {
    const first = await startNode<NotificationDocument>(notifications, env());
    const old = Array.from({ length: 120 }, (_, index) => (index % 2 ? message : mail)(91 + 7 * index));
    const young = [message(0), message(89), message(89, daysAgo(1)), mail(89)];
    // Of one day, more than are removed at once.
    for (let index = 0; index < 501; index++) old.push(message(300));
    await insertAll(first.documents, [...old, ...young, message(91, daysAgo(90))]);
    await first.broker.stop();

    const second = await startNode<NotificationDocument>(notifications, env());
    await eventually(async () => (await second.documents.count({})) <= young.length);
    const kept = await second.documents.find({});
    await second.broker.stop();
    expect(kept.map(({ _id }) => _id).sort()).toEqual(young.map(({ _id }) => _id).sort());
  });

  it("forget what visitors did before ANALYTICS_RETENTION_DAYS, however much, and nothing else", async () => {
    const first = await startNode<AnalyticsDocument>(analytics, env());
    const old = Array.from({ length: 1001 }, (_, index) => behaviour(31 + (index % 50)));
    const young = [behaviour(0), behaviour(29)];
    const order: AnalyticsDocument = {
      _id: newId(),
      at: daysAgo(3000),
      kind: "order.confirmed",
      order_id: newId(),
      total: 2999,
      currency: "EUR",
      items: [],
      synthetic: false,
    };
    const refund: AnalyticsDocument = {
      _id: newId(),
      at: daysAgo(3000),
      kind: "payment.refunded",
      order_id: order.order_id,
      amount: 2999,
      currency: "EUR",
    };
    await insertAll(first.documents, [...old, ...young, order, refund]);
    await first.broker.stop();

    const second = await startNode<AnalyticsDocument>(analytics, {
      ...env(),
      ANALYTICS_RETENTION_DAYS: "30",
    });
    await eventually(async () => (await second.documents.count({})) <= 4);
    const kept = await second.documents.find({});
    await second.broker.stop();
    expect(kept.map(({ _id }) => _id).sort()).toEqual([...young, order, refund].map(({ _id }) => _id).sort());
  });

  it("that stay are looked at once, and not each time anew", async () => {
    const all = { ...env(), NOTIFICATION_RETENTION_DAYS: "36500" };
    const { broker, documents } = await startNode<NotificationDocument>(notifications, all);
    const user_id = newId();
    const kept = { ...message(95), user_id: newId() };
    const [first, second] = [message(99), message(94)].map((one) => ({ ...one, user_id }));
    const old = new OldDocuments(documents, "created_at", { user_id });
    const find = jest.spyOn(documents, "find");
    for (const one of [kept, first]) if (one) await documents.insertOnce(one);
    await old.remove(Date.parse(daysAgo(95)));
    if (second) await documents.insertOnce(second);
    find.mockClear();
    await old.remove(Date.parse(daysAgo(93)));
    expect(await documents.count({ user_id })).toBe(0);
    expect(await documents.get(kept._id)).toEqual(kept);
    for (const [{ query }] of find.mock.calls)
      expect(query).toMatchObject({ created_at: { $gte: expect.stringMatching(/^20/) } });
    await broker.stop();
  });
});
