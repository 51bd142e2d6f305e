import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { brokerOptions } from "../../lib/broker.ts";
import { loadConfig } from "../../lib/config.ts";
import { newId } from "../../lib/ids.ts";
import { Documents } from "../../lib/stores/documents.ts";
import type { AnalyticsDocument } from "../../services/analytics/analytics.model.ts";
import analytics from "../../services/analytics/analytics.service.ts";
import { eventually } from "../helpers/client.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";

/** What visitors did is forgotten in time, in either store; what became of orders is not. */

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

/** A node that runs analytics alone and keeps its documents for the next one. */
async function startNode(env: Record<string, string>) {
  const own = { NODE_ENV: "development", DATA_DIR: dataDir, LOG_FORMAT: "json", SERVICES: "analytics" };
  const config = loadConfig({ ...TEST_ENV, ...own, ...env }, { databaseUrl: "", secrets: SECRETS });
  const broker = new ServiceBroker(brokerOptions(config));
  const service: object = broker.createService(analytics(broker));
  await broker.start();
  if (!("documents" in service && service.documents instanceof Documents)) throw new Error("No documents.");
  const documents: Documents<AnalyticsDocument> = service.documents;
  return { broker, documents };
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

describe.each(stores)("analytics in %s", (_name, env) => {
  it("forgets what visitors did before ANALYTICS_RETENTION_DAYS, however much, and nothing else", async () => {
    const first = await startNode(env());
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
    for (const document of [...old, ...young, order, refund]) await first.documents.insertOnce(document);
    await first.broker.stop();

    const second = await startNode({ ...env(), ANALYTICS_RETENTION_DAYS: "30" });
    await eventually(async () => (await second.documents.count({})) <= 4);
    const kept = await second.documents.find({});
    await second.broker.stop();
    expect(kept.map(({ _id }) => _id).sort()).toEqual([...young, order, refund].map(({ _id }) => _id).sort());
  });
});
