import { setImmediate as immediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { CatalogueCache } from "../../services/products/cache.ts";

/** Moleculer's own cacher before a read that the test lets go on. */
let broker: ServiceBroker;
let cache: CatalogueCache;
let reads: PromiseWithResolvers<string>[];

beforeEach(async () => {
  reads = [];
  broker = new ServiceBroker({ logger: false, cacher: "Memory" });
  cache = new CatalogueCache(broker);
  const read = (key: string) => {
    const pending = Promise.withResolvers<string>();
    reads.push(pending);
    return cache.read(key, () => pending.promise);
  };
  broker.createService({
    name: "products",
    actions: {
      get: {
        cache: { keys: ["id"] },
        handler: (ctx: { params: { id: number } }) => read(`products.get:${ctx.params.id}`),
      },
      list: { cache: { keys: ["page"] }, handler: () => read("products.list:**") },
    },
  });
  await broker.start();
});
afterEach(() => broker.stop());

/** Asks, and answers if it came to a read: `false` if the answer was kept. */
async function ask(action: string, params: object, value: string): Promise<unknown> {
  const before = reads.length;
  const answer = broker.call(action, params);
  await immediate();
  reads[before]?.resolve(value);
  return { answer: await answer, kept: reads.length === before };
}

describe.each([
  ["products.get", { id: 7 }],
  ["products.list", { page: 1 }],
])("%s", (action, params) => {
  test("an answer is kept until it is forgotten", async () => {
    expect(await ask(action, params, "old")).toEqual({ answer: "old", kept: false });
    expect(await ask(action, params, "new")).toEqual({ answer: "old", kept: true });
    await cache.forget([7]);
    expect(await ask(action, params, "new")).toEqual({ answer: "new", kept: false });
  });

  test("a read that is under way while its answer is forgotten doesn't put the old one back", async () => {
    const underWay = broker.call(action, params);
    await immediate();
    await cache.changed([7]);
    reads[0]?.resolve("old");
    expect(await underWay).toBe("old");
    await immediate();
    expect(await ask(action, params, "new")).toEqual({ answer: "new", kept: false });
    expect(await ask(action, params, "newer")).toEqual({ answer: "new", kept: true });
  });

  test("everything is forgotten when nobody says what changed, or very much did", async () => {
    for (const ids of [undefined, Array.from({ length: 1000 }, (_, n) => n + 1000)]) {
      await ask(action, params, "old");
      await cache.forget(ids);
      expect(await ask(action, params, "new")).toEqual({ answer: "new", kept: false });
      await cache.forget();
    }
  });
});

test("another product is kept, lists are not", async () => {
  await ask("products.get", { id: 7 }, "seven");
  await ask("products.list", { page: 1 }, "page");
  await cache.forget([8]);
  expect(await ask("products.get", { id: 7 }, "new")).toEqual({ answer: "seven", kept: true });
  expect(await ask("products.list", { page: 1 }, "new")).toEqual({ answer: "new", kept: false });
});

test("a cache that is away fails no change", async () => {
  const { cacher } = broker;
  if (!cacher) throw new Error("The broker has no cacher.");
  const gone = () => Promise.reject(new Error("connection is closed"));
  Object.assign(cacher, { del: gone, clean: gone });
  await expect(cache.changed([7])).resolves.toBeUndefined();
  await expect(cache.changed()).resolves.toBeUndefined();
});
