import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { poolOf } from "../../lib/stores/connect.ts";
import { type KeyValueStore, update } from "../../lib/stores/key-value.ts";
import { PostgresKeyValue } from "../../lib/stores/postgres-key-value.ts";
import { redisOf } from "../../lib/stores/redis.ts";
import { RedisKeyValue } from "../../lib/stores/redis-key-value.ts";
import { isStoreAway } from "../../middlewares/failures.ts";
import { eventually } from "../helpers/client.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";
import { createDatabase } from "../helpers/shop.ts";

/** Both key-value stores keep the same promises: one suite, run against each. */

const hasRedis = haveServers("redis");
let redis: TestServer | undefined;
let databaseUrl: string;

beforeAll(async () => {
  databaseUrl = await createDatabase();
  if (hasRedis) redis = await startServer("redis");
});
afterAll(async () => await redis?.remove());

const postgresStore = (): KeyValueStore =>
  new PostgresKeyValue(poolOf(databaseUrl, { DATABASE_POOL: 4, DATABASE_TIMEOUT: 30_000 }));
async function redisStore(): Promise<KeyValueStore> {
  const store = new RedisKeyValue(redisOf(redis?.url ?? "", 500), "test");
  await eventually(() => isUp(store));
  return store;
}

const isUp = (store: KeyValueStore) =>
  store.ping().then(
    () => true,
    () => false,
  );

const stores: [string, () => KeyValueStore | Promise<KeyValueStore>][] = [["Postgres", postgresStore]];
if (hasRedis) stores.push(["Redis", redisStore]);

let keys = 0;
const newKey = () => `key-${++keys}`;

describe.each(stores)("the key-value store on %s", (_name, open) => {
  let store: KeyValueStore;
  /** The same store, as another node uses it. */
  let other: KeyValueStore;

  beforeAll(async () => {
    [store, other] = await Promise.all([open(), open()]);
  });
  afterAll(async () => {
    await Promise.all([store?.close(), other?.close()]);
  });

  async function written(key: string, value: object): Promise<number> {
    expect(await store.compareAndSet(key, null, value, 60)).toBe(true);
    const version = (await store.get(key))?.version;
    if (version === undefined) throw new Error("What was written is not there.");
    return version;
  }

  it("has nothing under a key that was never written", async () => {
    expect(await store.get(newKey())).toBeNull();
    expect(await store.delete(newKey())).toBe(false);
  });

  it("gives back what was written, on every node", async () => {
    const key = newKey();
    const value = {
      items: [{ id: 1, text: 'Grüße, "Kaffee" ☕' }],
      nothing: null,
      nested: { deep: [true, 0.5] },
    };
    await written(key, value);
    expect((await other.get(key))?.value).toEqual(value);
  });

  it("writes a new key once", async () => {
    const key = newKey();
    await written(key, { by: "first" });
    expect(await other.compareAndSet(key, null, { by: "second" }, 60)).toBe(false);
    expect((await store.get(key))?.value).toEqual({ by: "first" });
  });

  it("writes over the expected version only, and gives the value a new one", async () => {
    const key = newKey();
    const first = await written(key, { n: 1 });
    expect(await store.compareAndSet(key, first, { n: 2 }, 60)).toBe(true);
    expect(await other.compareAndSet(key, first, { n: 3 }, 60)).toBe(false);
    const now = await other.get(key);
    expect(now?.value).toEqual({ n: 2 });
    expect(now?.version).not.toBe(first);
  });

  it("refuses an expected version of a key that is gone", async () => {
    const key = newKey();
    const version = await written(key, { n: 1 });
    expect(await store.delete(key)).toBe(true);
    expect(await store.compareAndSet(key, version, { n: 2 }, 60)).toBe(false);
    expect(await store.get(key)).toBeNull();
  });

  it("deletes the expected version only", async () => {
    const key = newKey();
    const version = await written(key, { n: 1 });
    expect(await store.compareAndSet(key, version, { n: 2 }, 60)).toBe(true);
    expect(await other.delete(key, version)).toBe(false);
    expect((await store.get(key))?.value).toEqual({ n: 2 });
  });

  it("never gives a version twice, also to a key that was deleted and made anew", async () => {
    const key = newKey();
    const versions = new Set<number>();
    for (let round = 0; round < 5; round++) {
      const first = await written(key, { round });
      expect(await store.compareAndSet(key, first, { round, changed: true }, 60)).toBe(true);
      versions.add(first).add((await store.get(key))?.version ?? 0);
      await store.delete(key);
    }
    expect(versions.size).toBe(10);
  });

  it("forgets a value past its time, and takes the key for absent", async () => {
    const key = newKey();
    expect(await store.compareAndSet(key, null, { n: 1 }, 0.05)).toBe(true);
    const version = (await store.get(key))?.version ?? 0;
    await eventually(async () => (await store.get(key)) === null);
    expect(await store.compareAndSet(key, version, { n: 2 }, 60)).toBe(false);
    expect(await store.compareAndSet(key, null, { n: 3 }, 60)).toBe(true);
    expect((await other.get(key))?.value).toEqual({ n: 3 });
  });

  it("gives a value its whole time again with each write", async () => {
    const key = newKey();
    expect(await store.compareAndSet(key, null, { n: 1 }, 0.3)).toBe(true);
    const version = (await store.get(key))?.version ?? 0;
    expect(await store.compareAndSet(key, version, { n: 2 }, 60)).toBe(true);
    const [short] = [newKey()];
    await store.compareAndSet(short, null, {}, 0.4);
    await eventually(async () => (await store.get(short)) === null);
    expect((await store.get(key))?.value).toEqual({ n: 2 });
  });

  it("loses none of 40 updates that two nodes make at once", async () => {
    const key = newKey();
    const add = (from: KeyValueStore) =>
      update<{ count: number }>(from, key, 60, (current) => ({ count: (current?.count ?? 0) + 1 }));
    await Promise.all(Array.from({ length: 40 }, (_, index) => add(index % 2 === 0 ? store : other)));
    expect((await store.get(key))?.value).toEqual({ count: 40 });
  });
});

(hasRedis ? describe : describe.skip)("the key-value store while Redis is away", () => {
  it("refuses within its time limit as a store that is away, and works again on the same connection", async () => {
    const store = await redisStore();
    try {
      const key = newKey();
      await store.compareAndSet(key, null, { n: 1 }, 60);
      await redis?.stop();
      for (const attempt of [store.get(key), store.compareAndSet(key, null, {}, 60), store.ping()]) {
        const error: unknown = await attempt.then(
          () => undefined,
          (failure: unknown) => failure,
        );
        expect(isStoreAway(error)).toBe(true);
      }
      await redis?.start();
      await eventually(() => isUp(store));
      expect((await store.get(key))?.value).toEqual({ n: 1 });
    } finally {
      await store.close();
    }
  });

  it("gives up on a frozen server, and works on once that wakes", async () => {
    const store = await redisStore();
    const key = newKey();
    await store.compareAndSet(key, null, { n: 1 }, 60);
    redis?.process().kill("SIGSTOP");
    try {
      const error: unknown = await store.get(key).catch((failure: unknown) => failure);
      expect(isStoreAway(error)).toBe(true);
    } finally {
      redis?.process().kill("SIGCONT");
    }
    expect((await eventually(() => store.get(key).catch(() => undefined)))?.value).toEqual({ n: 1 });
    await store.close();
  });
});
