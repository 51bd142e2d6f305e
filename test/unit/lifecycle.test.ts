import { describe, expect, it } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../lib/config.ts";
import { beforeStop, installLifecycle, isStopping } from "../../lib/lifecycle.ts";
import { provideConfig } from "../../lib/runtime.ts";
import { untilReachable } from "../../lib/stores/reachable.ts";
import { closeShared, shared } from "../../lib/stores/shared.ts";
import { documents } from "../../mixins/documents.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { refusingPort } from "../helpers/node-process.ts";

describe("a node that is asked to stop", () => {
  it("goes down once, in order, however often it is asked", async () => {
    const broker = new ServiceBroker({ logger: false, registry: { stopDelay: 0 } });
    installLifecycle(broker);
    const order: string[] = [];
    const inside = Promise.withResolvers<void>();
    beforeStop(broker, async () => {
      order.push("door closed");
      await inside.promise;
      order.push("requests ended");
    });
    broker.createService({ name: "orders", stopped: async () => void order.push("stores closed") });
    await broker.start();
    expect(isStopping(broker)).toBe(false);

    // A Ctrl-C in a terminal comes twice where npm hands it on.
    const asked = [broker.stop(), broker.stop()];
    expect(isStopping(broker)).toBe(true);
    inside.resolve();
    await Promise.all(asked);

    expect(order).toEqual(["door closed", "requests ended", "stores closed"]);
  });

  it("comes to the end of its start first", async () => {
    const broker = new ServiceBroker({ logger: false, registry: { stopDelay: 0 } });
    installLifecycle(broker);
    const order: string[] = [];
    const migrated = Promise.withResolvers<void>();
    broker.createService({
      name: "orders",
      async started() {
        await migrated.promise;
        order.push("migrated");
      },
      stopped: async () => void order.push("stores closed"),
    });
    beforeStop(broker, async () => void order.push("door closed"));
    const started = broker.start();
    const stopped = broker.stop();
    migrated.resolve();
    await Promise.all([started, stopped]);
    expect(order).toEqual(["migrated", "door closed", "stores closed"]);
  });

  it("does not wait for a start that waits for a store", async () => {
    const broker = new ServiceBroker({ logger: false, registry: { stopDelay: 0 } });
    installLifecycle(broker);
    const asked = Promise.withResolvers<void>();
    let isStarted = false;
    let stopped = 0;
    broker.createService({
      name: "orders",
      async started() {
        await untilReachable(broker, "database", async () => {
          asked.resolve();
          throw new Error("refused");
        });
        isStarted = true;
      },
      stopped: async () => void stopped++,
    });
    void broker.start();
    await asked.promise;
    await broker.stop();
    expect([isStarted, stopped]).toEqual([false, 1]);
  });

  it("does not wait for a MongoDB that is away", async () => {
    const broker = new ServiceBroker({ logger: false, registry: { stopDelay: 0 } });
    installLifecycle(broker);
    const nowhere = await refusingPort();
    const MONGO_URL = nowhere.url.replace("http:", "mongodb:");
    provideConfig(broker, loadConfig({ ...TEST_ENV, MONGO_URL }, { databaseUrl: "", secrets: SECRETS }));
    broker.createService({
      name: "notifications",
      mixins: [documents("notifications", { indexes: [] }).build(broker)],
    });
    void broker.start();
    await broker.stop();
    nowhere.giveBack();
  }, 9_000);

  it("stops its services though what comes before fails", async () => {
    const broker = new ServiceBroker({ logger: false, registry: { stopDelay: 0 } });
    installLifecycle(broker);
    let stopped = 0;
    beforeStop(broker, async () => await Promise.reject(new Error("no door")));
    broker.createService({ name: "orders", stopped: async () => void stopped++ });
    await broker.start();
    await broker.stop();
    expect(stopped).toBe(1);
  });

  it("closes its stores, the last made first, though one fails", async () => {
    const broker = new ServiceBroker({ logger: false });
    const closed: string[] = [];
    for (const name of ["pool", "jobs", "limits"]) {
      shared(broker, name, () => ({
        store: name,
        async close() {
          closed.push(name);
          if (name === "jobs") throw new Error("the database is away");
        },
      }));
    }
    await closeShared(broker);
    expect(closed).toEqual(["limits", "jobs", "pool"]);
  });
});
