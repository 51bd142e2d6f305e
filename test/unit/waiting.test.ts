import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import { atMost, goodFor } from "../../lib/waiting.ts";

const never = new Promise<string>(() => undefined);

describe("atMost", () => {
  it("gives what comes in time, and nothing instead of what doesn't", async () => {
    expect(await atMost(10_000, Promise.resolve("here"))).toBe("here");
    expect(await atMost(1, never)).toBeUndefined();
    await expect(atMost(10_000, Promise.reject(new Error("away")))).rejects.toThrow("away");
  });
});

describe("goodFor", () => {
  it("asks once for all who come within the time, and anew after it", async () => {
    let asked = 0;
    const ask = async () => ++asked;
    const shared = goodFor(10_000, ask);
    expect(await Promise.all([shared(), shared(), shared()])).toEqual([1, 1, 1]);
    const single = goodFor(0, ask);
    expect([await single(), await single()]).toEqual([2, 3]);
  });

  it("doesn't keep a failure", async () => {
    const answers = [() => Promise.reject(new Error("away")), () => Promise.resolve("back")];
    const read = goodFor(10_000, () => answers.shift()?.() ?? never);
    await expect(read()).rejects.toThrow("away");
    await setImmediate();
    expect(await read()).toBe("back");
  });
});
