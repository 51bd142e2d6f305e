import { describe, expect, it } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { beforeStop, installLifecycle, isStopping } from "../../lib/lifecycle.ts";
import { closeShared, shared } from "../../lib/stores/shared.ts";

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
