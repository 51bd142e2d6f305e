import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { send } from "../helpers/client.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";
import { createDatabase, type Shop, startShop } from "../helpers/shop.ts";

/** Six reads a minute. */
const RATE_LIMIT = "0.001";

(haveServers("redis") ? describe : describe.skip)("rate limits in Redis", () => {
  let redis: TestServer;
  let gateways: Shop[];

  beforeAll(async () => {
    redis = await startServer("redis");
    const env = { RATE_LIMIT, REDIS_URL: redis.url };
    const databaseUrl = await createDatabase();
    gateways = [await startShop({ env, databaseUrl }), await startShop({ env, databaseUrl })];
  });
  afterAll(async () => {
    for (const gateway of gateways ?? []) await gateway.stop();
    await redis?.remove();
  });

  /** One read at each gateway. */
  async function readAtEach(): Promise<number[]> {
    const statuses: number[] = [];
    for (const gateway of gateways) {
      const answer = await send(gateway, "GET", "/api/categories");
      if (answer.status === 429) expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      statuses.push(answer.status);
    }
    return statuses;
  }

  it("count what a client asks of all gateways together", async () => {
    for (let round = 0; round < 3; round++) expect(await readAtEach()).toEqual([200, 200]);
    expect(await readAtEach()).toEqual([429, 429]);
  });

  it("never fail a request because Redis is away: each gateway then counts for itself", async () => {
    await redis.stop();
    for (let round = 0; round < 6; round++) expect(await readAtEach()).toEqual([200, 200]);
    expect(await readAtEach()).toEqual([429, 429]);
  });
});
