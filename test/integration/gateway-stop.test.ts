import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "@jest/globals";
import { call } from "../../lib/call.ts";
import { gateway } from "../../services/gateway/gateway.service.ts";
import { TIMEOUTS } from "../../services/gateway/http-server.ts";
import { productsContract } from "../../services/products/products.contract.ts";
import { eventually } from "../helpers/client.ts";
import { FakePeople, fakeService } from "../helpers/fakes.ts";
import { head, RawClient } from "../helpers/raw-http.ts";
import { startShop } from "../helpers/shop.ts";

const people = new FakePeople();
const admin = people.add("admin");

describe("a stop", () => {
  it("fails readiness first, lets nobody new in, and finishes what is under way", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const own = await startShop({
      replace: {
        ...people.services,
        products: fakeService(productsContract, {
          categories: async (ctx) => {
            reach();
            await released;
            // The services below are there as long as a request is.
            await call(ctx, "users.find", { id: admin.id });
            return { categories: [] };
          },
        }),
        gateway: gateway({ ...TIMEOUTS, farewell: 400 }),
      },
    });
    const [busy, idle] = [new RawClient(own.url), new RawClient(own.url)];
    await idle.write(head("GET /health/ready"));
    expect(JSON.parse((await idle.answer()).body)).toEqual({ status: "ready", failing: [] });
    await busy.write(head("GET /api/categories"));
    await reached;

    const stopped = own.stop();
    await idle.write(head("GET /health/ready"));
    const unready = await idle.answer();
    expect([unready.status, JSON.parse(unready.body)]).toEqual([
      503,
      { status: "not ready", failing: ["stopping"] },
    ]);
    expect(unready.headers.connection).toBe("close");
    await idle.closed();
    await eventually(() => isClosed(own.url));

    release();
    const answer = await busy.answer();
    expect([answer.status, answer.headers.connection]).toEqual([200, "close"]);
    await busy.closed();
    await stopped;
  });

  it("answers who came in before the door closed and had not asked yet", async () => {
    const own = await startShop({ replace: people.services });
    const late = new RawClient(own.url);
    await once(late.socket, "connect");
    const stopped = own.stop();
    await eventually(() => isClosed(own.url));
    await late.write(head("GET /health/ready"));
    const answer = await late.answer();
    expect([answer.status, answer.headers.connection]).toEqual([503, "close"]);
    await stopped;
  });

  it("doesn't wait for ever for an answer", async () => {
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const never = new Promise<never>(() => undefined);
    const own = await startShop({
      env: { SHUTDOWN_TIMEOUT: "200", REQUEST_TIMEOUT: "1000" },
      replace: {
        products: fakeService(productsContract, {
          categories: async () => {
            reach();
            return await never;
          },
        }),
      },
    });
    const client = new RawClient(own.url);
    await client.write(head("GET /api/categories"));
    await reached;
    await own.stop();
    await client.closed();
  });
});

/** Whether it lets nobody new in. */
async function isClosed(url: string): Promise<boolean> {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname);
  return await Promise.race([
    once(socket, "connect").then(() => {
      socket.destroy();
      return false;
    }),
    once(socket, "error").then(() => true),
  ]).catch(() => true);
}
