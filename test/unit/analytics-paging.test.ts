import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../lib/config.ts";
import { contract } from "../../lib/contract.ts";
import { provideConfig } from "../../lib/runtime.ts";
import { defineService } from "../../lib/service.ts";
import type { Documents } from "../../lib/stores/documents.ts";
import { documents } from "../../mixins/documents.ts";
import { type AnalyticsDocument, INDEXES } from "../../services/analytics/analytics.model.ts";
import { documentsOf } from "../../services/analytics/paging.ts";
import { TEST_ENV } from "../helpers/env.ts";

const DAY = { from: "2026-11-20T00:00:00.000Z", to: "2026-11-20T23:59:59.999Z" };
let store: Documents<AnalyticsDocument>;
let broker: ServiceBroker;

beforeAll(async () => {
  broker = new ServiceBroker({ logger: false });
  const secrets = {
    JWT_SECRET: "x".repeat(32),
    SANDBOX_WEBHOOK_SECRET: "",
    ADMIN_EMAIL: "",
    ADMIN_PASSWORD: "",
  };
  provideConfig(broker, loadConfig(TEST_ENV, { databaseUrl: "", secrets }));
  const keeper = defineService(contract("keeper", {}))({
    mixins: [documents<AnalyticsDocument>("paging", { indexes: INDEXES })],
    actions: {},
    started() {
      store = this.documents;
    },
  });
  broker.createService(keeper(broker));
  await broker.start();
  const times = ["2026-11-19T23:59:59.999Z", ...Array(6).fill(DAY.from), DAY.to, "2026-11-21T00:00:00.000Z"];
  for (const [index, at] of times.entries()) {
    const visit = { kind: "visit", type: "visit", visitor: "client:1", properties: "{}" } as const;
    await store.insertOnce({ _id: `id-${index}`, at, ...visit });
  }
});
afterAll(() => broker.stop());

test.each([1, 2, 7, 8, 100])("reads each document of a day once, by pages of %i", async (limit) => {
  const ids: string[] = [];
  for await (const { _id } of documentsOf(store, DAY, limit)) ids.push(_id);
  expect(ids).toEqual(["id-1", "id-2", "id-3", "id-4", "id-5", "id-6", "id-7"]);
});
