import { describe, expect, test } from "@jest/globals";
import { Unavailable } from "../../lib/errors.ts";
import { Limiter } from "../../services/users/limiter.ts";

/** Work that ends when the test says so. */
function controlled(limiter: Limiter) {
  const started: number[] = [];
  const gates = new Map<number, PromiseWithResolvers<void>>();
  const run = (id: number) =>
    limiter.run(async () => {
      const gate = Promise.withResolvers<void>();
      gates.set(id, gate);
      started.push(id);
      await gate.promise;
      return id;
    });
  return { started, run, gate: (id: number) => gates.get(id) };
}

describe("Limiter", () => {
  test("runs no more at once than it may, the others in order", async () => {
    const { started, run, gate } = controlled(new Limiter({ concurrency: 2, queue: 10 }));
    const all = [1, 2, 3, 4].map(run);
    expect(started).toEqual([1, 2]);
    gate(2)?.resolve();
    await all[1];
    expect(started).toEqual([1, 2, 3]);
    gate(1)?.resolve();
    await all[0];
    expect(started).toEqual([1, 2, 3, 4]);
    gate(3)?.resolve();
    gate(4)?.resolve();
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4]);
  });

  test("refuses at once what finds the queue full, and takes work again when there is room", async () => {
    const { started, run, gate } = controlled(new Limiter({ concurrency: 1, queue: 1 }));
    const first = run(1);
    const second = run(2);
    await expect(run(3)).rejects.toMatchObject({
      type: Unavailable.code,
      code: 503,
      data: { retry_after: 2 },
    });
    gate(1)?.resolve();
    await first;
    const fourth = run(4);
    gate(2)?.resolve();
    await second;
    gate(4)?.resolve();
    expect(await fourth).toBe(4);
    expect(started).toEqual([1, 2, 4]);
  });

  test("work that fails gives its place back", async () => {
    const limiter = new Limiter({ concurrency: 1, queue: 0 });
    await expect(limiter.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await limiter.run(async () => "done")).toBe("done");
  });
});
