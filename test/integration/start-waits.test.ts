import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, it } from "@jest/globals";
import { eventually } from "../helpers/client.ts";
import { SECRETS } from "../helpers/env.ts";
import { freePort, startNode } from "../helpers/node-process.ts";
import { createDatabase } from "../helpers/shop.ts";

it("a node that starts before its Postgres waits for it, and says so", async () => {
  const url = new URL(await createDatabase());
  const server = Number(url.port);
  let refused = 0;
  let isUp = false;
  const front = createServer((client) => {
    client.on("error", () => undefined);
    if (isUp) client.pipe(connect(server, "127.0.0.1")).pipe(client);
    else {
      refused++;
      client.destroy();
    }
  });
  url.port = String(await freePort());
  front.listen(Number(url.port), "127.0.0.1");
  await once(front, "listening");
  const starting = startNode({
    ...SECRETS,
    DATABASE_URL: url.href,
    SERVICES: "users,orders",
    HEALTH_PORT: String(await freePort()),
  });
  const started = starting.catch((error: unknown) => error);
  await Promise.race([eventually(async () => refused > 5, 30_000), started]);
  isUp = true;
  const node = await starting;
  expect(node.output()).toContain("Waiting for a store");
  await node.kill("SIGKILL");
  front.close();
});
