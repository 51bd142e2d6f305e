import { afterEach, describe, expect, it } from "@jest/globals";
import { repeat } from "../../lib/repeat.ts";
import { eventually } from "../helpers/client.ts";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const notExpected = (error: unknown) => {
  throw error;
};

describe("repeated work", () => {
  it("runs at once and then again and again, never twice at once", async () => {
    let [runs, running, most] = [0, 0, 0];
    const work = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      runs++;
    };
    stops.push(repeat({ work, every: 1, failed: notExpected }));
    await eventually(async () => runs >= 5);
    expect(most).toBe(1);
  });

  it("waits for its first run where it is told to", async () => {
    let runs = 0;
    const stop = repeat({
      work: async () => runs++,
      every: 3_600_000,
      after: 3_600_000,
      failed: notExpected,
    });
    await stop();
    expect(runs).toBe(0);
  });

  it("without a period, is tried until it succeeds, each time later, and then no more", async () => {
    let tries = 0;
    const retries: number[] = [];
    const work = async () => {
      if (++tries < 4) throw new Error("not yet");
    };
    stops.push(repeat({ work, failed: (_error, retryIn) => retries.push(retryIn) }));
    await eventually(async () => tries === 4);
    expect(retries).toEqual([50, 100, 200]);
  });

  it("that fails is tried again no later than its period", async () => {
    const retries: number[] = [];
    const work = () => Promise.reject(new Error("never"));
    stops.push(repeat({ work, every: 70, failed: (_error, retryIn) => retries.push(retryIn) }));
    await eventually(async () => retries.length >= 3);
    expect(retries.slice(0, 3)).toEqual([50, 70, 70]);
  });

  it("that goes on in rounds is told when it is to end", async () => {
    let rounds = 0;
    const work = async (stop: AbortSignal) => {
      for (; !stop.aborted; rounds++) await new Promise((resolve) => setImmediate(resolve));
    };
    const stop = repeat({ work, every: 1, failed: notExpected });
    await eventually(async () => rounds > 0);
    await stop();
  });

  it("is waited for when it is stopped, and not told of as failed, nor run again", async () => {
    const { promise, reject } = Promise.withResolvers<void>();
    let runs = 0;
    const work = () => {
      runs++;
      return promise;
    };
    const stopped = repeat({ work, every: 1, failed: notExpected })();
    reject(new Error("its store is closed"));
    await stopped;
    expect(runs).toBe(1);
  });
});
