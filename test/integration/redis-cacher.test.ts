import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Redis } from "ioredis";
import { type Context, ServiceBroker } from "moleculer";
import { RedisCacher } from "../../lib/stores/redis-cacher.ts";
import { eventually } from "../helpers/client.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";

/** The cache of a cluster: what one node read, another has; and no failure of Redis is one of a read. */

const hasRedis = haveServers("redis");
let redis: TestServer;
let one: CachingNode;
let other: CachingNode;

interface CachingNode {
  broker: ServiceBroker;
  cacher: RedisCacher;
  /** How often its handlers ran. */
  reads: number;
  /** What the handlers wait for. */
  gate: Promise<unknown>;
}

/** @param value what the handlers answer */
async function startNode(url: string, value: { now: string }): Promise<CachingNode> {
  const cacher = new RedisCacher(url);
  const broker = new ServiceBroker({ logger: false, cacher, validator: false, metrics: { enabled: true } });
  const node: CachingNode = { broker, cacher, reads: 0, gate: Promise.resolve() };
  const handler = async (ctx: Context<{ id: number }>) => {
    node.reads++;
    const read = { id: ctx.params.id, value: value.now };
    await node.gate;
    return read;
  };
  const cache = { keys: ["id"], ttl: 30 };
  broker.createService({ name: "things", actions: { get: { cache, handler }, list: { cache, handler } } });
  broker.createService({ name: "others", actions: { get: { cache, handler } } });
  await broker.start();
  return node;
}

const value = { now: "old" };
let ids = 0;
const read = (node: CachingNode, action: string, id: number) => node.broker.call(action, { id });

/** Whether the next read of it is answered from the cache. */
async function isCached(node: CachingNode, action: string, id: number): Promise<boolean> {
  const before = node.reads;
  await read(node, action, id);
  return node.reads === before;
}

(hasRedis ? describe : describe.skip)("the cache in Redis", () => {
  beforeAll(async () => {
    redis = await startServer("redis");
    [one, other] = await Promise.all([startNode(redis.url, value), startNode(redis.url, value)]);
    await eventually(() => isCached(one, "things.get", 0));
    await eventually(() => isCached(other, "things.get", 0));
  });
  afterAll(async () => {
    await Promise.all([one?.broker.stop(), other?.broker.stop()]);
    await redis?.remove();
  });

  it("answers on every node what one of them read", async () => {
    const id = ++ids;
    const first = await read(one, "things.get", id);
    expect(await eventually(() => isCached(other, "things.get", id))).toBe(true);
    expect(await read(other, "things.get", id)).toEqual(first);
  });

  it.each([
    ["one key", (id: number) => `things.get:${id}`, { get: false, list: true, other: true }],
    ["an action", () => "things.get:**", { get: false, list: true, other: true }],
    ["a service", () => "things.**", { get: false, list: false, other: true }],
    ["everything", () => "**", { get: false, list: false, other: false }],
  ])("forgets %s, for every node", async (_name, pattern, left) => {
    const id = ++ids;
    const actions = { get: "things.get", list: "things.list", other: "others.get" };
    for (const action of Object.values(actions)) await eventually(() => isCached(one, action, id));
    await one.cacher.clean(pattern(id));
    for (const [name, action] of Object.entries(actions))
      expect([name, await isCached(other, action, id)]).toEqual([name, Reflect.get(left, name)]);
  });

  it("does not keep what was read before a clean and arrives after it", async () => {
    const id = ++ids;
    const { promise, resolve } = Promise.withResolvers<void>();
    one.gate = promise;
    const before = one.reads;
    const late = read(one, "things.list", id);
    await eventually(async () => one.reads > before);
    value.now = "new";
    await other.cacher.clean("things.list:**");
    resolve();
    expect(await late).toMatchObject({ value: "old" });
    one.gate = Promise.resolve();
    expect(await read(other, "things.list", id)).toMatchObject({ value: "new" });
    value.now = "old";
  });

  it("leaves other keys of the same Redis alone", async () => {
    const client = new Redis(redis.url);
    await client.set("molecart:kv:cart", "mine");
    await one.cacher.clean();
    expect(await client.get("molecart:kv:cart")).toBe("mine");
    client.disconnect();
  });

  it("counts what it found", async () => {
    const id = ++ids;
    await eventually(() => isCached(one, "things.get", id));
    const { asked, found } = one.cacher.lookUps;
    await one.broker.call("things.get", { id });
    expect(one.cacher.lookUps).toEqual({ asked: asked + 1, found: found + 1 });
    await one.broker.call("things.get", { id: ++ids });
    expect(one.cacher.lookUps).toEqual({ asked: asked + 2, found: found + 1 });
  });

  it("reads on without Redis, at once, and caches again when it is back", async () => {
    const id = ++ids;
    await redis.stop();
    const started = performance.now();
    for (let round = 0; round < 5; round++) expect(await read(one, "things.get", id)).toMatchObject({ id });
    await one.cacher.clean("things.**");
    await one.cacher.del("things.get:1");
    expect(performance.now() - started).toBeLessThan(1000);
    await redis.start();
    expect(await eventually(() => isCached(one, "things.get", id))).toBe(true);
  });

  it("waits for a frozen Redis once, not at every read", async () => {
    const id = ++ids;
    await eventually(() => isCached(one, "things.get", id));
    redis.process().kill("SIGSTOP");
    try {
      const started = performance.now();
      for (let round = 0; round < 20; round++)
        expect(await read(one, "things.get", id)).toMatchObject({ id });
      expect(performance.now() - started).toBeLessThan(1000);
    } finally {
      redis.process().kill("SIGCONT");
    }
    expect(await eventually(() => isCached(one, "things.get", id))).toBe(true);
  });
});
