import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Redis } from "ioredis";
import { redisOf } from "../../lib/stores/redis.ts";
import { eventually } from "../helpers/client.ts";
import { tell } from "../helpers/client-log.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";
import { startProxy, type TcpProxy } from "../helpers/tcp-proxy.ts";

/** A single connection to Redis that breaks: how soon there is another, and that it stays. */

/** ms that a command may take. */
const TIMEOUT = 200;
/** ms after which a connection that says nothing is given up: by then a timer of the broken one would have fired. */
const SILENCE = 5_000;

(haveServers("redis") ? describe : describe.skip)("a connection to Redis", () => {
  let server: TestServer;
  const open: { redis: Redis; wire: TcpProxy }[] = [];

  beforeAll(async () => {
    server = await startServer("redis");
  });
  afterAll(async () => {
    for (const { redis, wire } of open) {
      redis.disconnect();
      await wire.close();
    }
    await server?.remove();
  });

  const connected = async () => {
    const wire = await startProxy(server.port);
    const redis = redisOf(`redis://127.0.0.1:${wire.port}`, TIMEOUT);
    open.push({ redis, wire });
    await eventually(async () => redis.status === "ready");
    return { redis, wire };
  };
  const answers = async (redis: Redis) => {
    try {
      return (await redis.ping()) === "PONG";
    } catch {
      return false;
    }
  };

  it("that was cut under a command is replaced at once, and the next one stays", async () => {
    const { redis, wire } = await connected();
    wire.freeze();
    expect(await answers(redis)).toBe(false);
    wire.reset();
    await wire.restore();
    const cut = performance.now();
    await eventually(async () => await answers(redis));
    const back = performance.now();
    let failed = 0;
    while (performance.now() - cut < SILENCE + 1_000) {
      if (!(await answers(redis))) failed++;
      await delay(20);
    }
    tell(
      "a connection to Redis cut under a command",
      `back after ${((back - cut) / 1000).toFixed(1)} s, ${failed} failed after that`,
    );
    expect(back - cut).toBeLessThan(1_000);
    expect(failed).toBe(0);
  });

  it("that was lost without a word is given up after 5 s, though it is asked all the time", async () => {
    const { redis, wire } = await connected();
    wire.lose();
    const lost = performance.now();
    await eventually(async () => await answers(redis));
    const took = performance.now() - lost;
    tell("a connection to Redis lost without a word", `back after ${(took / 1000).toFixed(1)} s`);
    expect(took).toBeGreaterThan(SILENCE - TIMEOUT);
    expect(took).toBeLessThan(SILENCE + 2_000);
  });
});
