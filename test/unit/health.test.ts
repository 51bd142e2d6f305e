import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { addCheck, failingChecks } from "../../lib/health.ts";

describe("a node's stores", () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it("are asked once a second, also when the clock is set back", async () => {
    const broker = new ServiceBroker({ logger: false });
    let asked = 0;
    addCheck(broker, "orders", "database", "postgres", async () => {
      if (++asked > 1) throw new Error("The database is away");
    });
    expect(await failingChecks(broker)).toEqual([]);
    jest.setSystemTime(Date.now() - 3_600_000);
    jest.advanceTimersByTime(999);
    expect(await failingChecks(broker)).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(await failingChecks(broker)).toEqual([{ service: "orders", store: "database" }]);
  });
});
