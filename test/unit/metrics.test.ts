import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { Metrics, type Sample } from "../../lib/metrics.ts";

const sagas = (value: number): Sample[] => [{ name: "molecart_sagas", labels: { state: "running" }, value }];

describe("figures that a store is asked for", () => {
  let metrics: Metrics;
  beforeEach(() => {
    jest.useFakeTimers();
    const broker = new ServiceBroker({
      logger: false,
      namespace: "n",
      nodeID: "a",
      metrics: { enabled: true, collectProcessMetrics: false },
    });
    metrics = new Metrics(broker, () => false);
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const line = (value: number) => `molecart_sagas{namespace="n",node="a",state="running"} ${value}\n`;

  it("are read at most every 15 s, however often the node is scraped", async () => {
    let reads = 0;
    metrics.collect("sagas", async () => sagas(++reads));
    expect(await metrics.text()).toContain(line(1));
    await Promise.all([metrics.text(), metrics.text()]);
    jest.advanceTimersByTime(14_999);
    expect(await metrics.text()).toContain(line(1));
    jest.advanceTimersByTime(1);
    expect(await metrics.text()).toContain(line(2));
  });

  it("don't hold a scrape up for longer than a second: the last ones are told", async () => {
    let answer: Promise<Sample[]> = Promise.resolve(sagas(1));
    metrics.collect("sagas", () => answer);
    await metrics.text();
    const late = Promise.withResolvers<Sample[]>();
    answer = late.promise;
    jest.advanceTimersByTime(15_000);
    const scrape = metrics.text();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await scrape).toContain(line(1));
    late.resolve(sagas(2));
    await late.promise;
    expect(await metrics.text()).toContain(line(2));
  });

  it("are told no more when they could not be read for 90 s", async () => {
    let answer: Promise<Sample[]> = Promise.resolve(sagas(1));
    metrics.collect("sagas", () => answer);
    await metrics.text();
    answer = Promise.reject(new Error("The database is away"));
    jest.advanceTimersByTime(60_000);
    expect(await metrics.text()).toContain(line(1));
    jest.advanceTimersByTime(31_000);
    expect(await metrics.text()).not.toContain("molecart_sagas{");
  });

  it("are read on when the clock is set back", async () => {
    let reads = 0;
    metrics.collect("sagas", async () => sagas(++reads));
    await metrics.text();
    jest.setSystemTime(Date.now() - 3_600_000);
    jest.advanceTimersByTime(15_000);
    expect(await metrics.text()).toContain(line(2));
  });

  it("of one key are read once", async () => {
    metrics.collect("queues", () => sagas(1));
    metrics.collect("queues", () => sagas(2));
    expect((await metrics.text()).match(/^molecart_sagas\{/gm)).toHaveLength(1);
  });
});
