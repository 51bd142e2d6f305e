import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { type Context, ServiceBroker } from "moleculer";
import { loadConfig } from "../../lib/config.ts";
import { failureCode } from "../../lib/errors.ts";
import { Seal } from "../../lib/seal.ts";
import { NatsTransporter, natsOptions } from "../../lib/transporter.ts";
import { eventually } from "../helpers/client.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { freePort } from "../helpers/node-process.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";

const optionsOf = (env: Record<string, string>) =>
  natsOptions(loadConfig({ ...TEST_ENV, ...env }, { databaseUrl: "", secrets: SECRETS }));

describe("how a node connects to NATS", () => {
  it("takes servers, user and TLS from the configuration", () => {
    const options = optionsOf({
      NATS_URL: "nats://one:4222, two:5222",
      NATS_USER: "shop",
      NATS_PASSWORD: "secret",
      NATS_TLS_CA: "ca.pem",
    });
    expect(options).toMatchObject({
      servers: ["one:4222", "two:5222"],
      user: "shop",
      pass: "secret",
      tls: { caFile: "ca.pem" },
      maxReconnectAttempts: -1,
    });
    expect(options.token).toBeUndefined();
  });

  it("takes them from the URL as well", () => {
    expect(optionsOf({ NATS_URL: "tls://shop:s%40cret@one" })).toMatchObject({
      servers: ["one:4222"],
      user: "shop",
      pass: "s@cret",
      tls: {},
    });
    expect(optionsOf({ NATS_URL: "nats://t0ken@one" })).toMatchObject({ token: "t0ken" });
    expect(optionsOf({ NATS_URL: "nats://one" }).tls).toBeUndefined();
  });
});

(haveServers("nats") ? describe : describe.skip)("Moleculer over NATS", () => {
  const brokers: ServiceBroker[] = [];
  let nats: TestServer;

  beforeAll(async () => {
    nats = await startServer("nats");
  });
  afterEach(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
  });
  afterAll(async () => await nats?.remove());

  let gate: Promise<unknown> = Promise.resolve();
  let ran = 0;

  /** A node that offers `things.get` if it is a worker. */
  function nodeOf(nodeID: string, env: Record<string, string>) {
    const transporter = new NatsTransporter(optionsOf(env), new Seal([SECRETS.CLUSTER_SECRET]));
    const broker = new ServiceBroker({
      nodeID,
      transporter,
      logger: false,
      requestTimeout: 10_000,
      skipProcessEventRegistration: true,
    });
    if (nodeID.startsWith("worker")) {
      broker.createService({
        name: "things",
        actions: {
          async get(ctx: Context<{ id: number }>) {
            ran++;
            await gate;
            return { id: ctx.params.id };
          },
        },
      });
    }
    brokers.push(broker);
    return { broker, transporter };
  }

  async function startPair(env: Record<string, string> = { NATS_URL: nats.url }) {
    const [caller, worker] = [nodeOf("caller", env), nodeOf("worker", env)];
    await Promise.all([caller.broker.start(), worker.broker.start()]);
    await caller.broker.waitForServices("things");
    return { caller, worker };
  }

  const isUp = ({ transporter }: { transporter: NatsTransporter }) =>
    transporter.ping().then(
      () => true,
      () => false,
    );

  /** Starts a node; `says` awaits that it warns of something. */
  function saying({ broker }: ReturnType<typeof nodeOf>) {
    const said: string[] = [];
    broker.logger.warn = (...args: unknown[]) => void said.push(JSON.stringify(args));
    const started = broker.start();
    return { started, says: (what: string) => eventually(async () => said.join().includes(what)) };
  }

  it("a node that starts first says what it waits for, and goes on when it is there", async () => {
    const server = await startServer("nats");
    try {
      await server.stop();
      const early = saying(nodeOf("early", { NATS_URL: server.url }));
      await early.says("CONNECTION_REFUSED");
      await server.start();
      await early.started;
    } finally {
      await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
      await server.remove();
    }
  });

  it("says at once that a node has no connection any more, and counts it as gone", async () => {
    const { caller, worker } = await startPair();
    // As if it were killed: no goodbye.
    await worker.transporter.client.close();
    // NATS takes a moment to see it; a request until then is lost like one under way.
    const topic = caller.transporter.getTopicName("REQ", "worker");
    await eventually(() =>
      caller.transporter.client.request(topic, undefined, { timeout: 200 }).then(
        () => false,
        (failure: { code: string }) => failure.code === "503",
      ),
    );
    const error: unknown = await caller.broker
      .call("things.get", { id: 1 })
      .catch((failure: unknown) => failure);
    expect(failureCode(error)).toBe("SERVICE_NOT_AVAILABLE");
    expect(caller.broker.registry.getActionEndpoints("things.get")?.hasAvailable()).toBe(false);
  });

  it("says soon that the node of a call under way has died", async () => {
    const { caller, worker } = await startPair();
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const before = ran;
    const call = caller.broker.call("things.get", { id: 1 }).catch((failure: unknown) => failure);
    await eventually(async () => ran > before);
    const started = performance.now();
    await worker.transporter.client.close();
    expect(failureCode(await call)).toBe("REQUEST_REJECTED");
    expect(performance.now() - started).toBeLessThan(3_000);
    resolve();
    gate = Promise.resolve();
  });

  it("refuses calls while NATS is away, and works on with the same nodes when it is back", async () => {
    const { caller, worker } = await startPair();
    await nats.stop();
    await eventually(async () => !(await isUp(caller)));
    const error: unknown = await caller.broker
      .call("things.get", { id: 1 })
      .catch((failure: unknown) => failure);
    expect(failureCode(error)).toBe("SERVICE_NOT_AVAILABLE");
    await nats.start();
    await eventually(async () => (await isUp(caller)) && (await isUp(worker)));
    const answer = await eventually(() => caller.broker.call("things.get", { id: 2 }).catch(() => undefined));
    expect(answer).toEqual({ id: 2 });
  });

  it("brings an answer home that was made while NATS was away", async () => {
    const { caller, worker } = await startPair();
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const before = ran;
    const call = caller.broker.call("things.get", { id: 3 });
    await eventually(async () => ran > before);
    await nats.stop();
    await eventually(async () => !(await isUp(worker)) && !(await isUp(caller)));
    resolve();
    gate = Promise.resolve();
    await nats.start();
    expect(await call).toEqual({ id: 3 });
    expect(ran).toBe(before + 1);
  });

  it("needs the right password, where the server has one", async () => {
    const guarded = await startServer("nats", ["--user", "shop", "--pass", "s3cret"]);
    try {
      const bare = guarded.url.replace("nats://", "");
      const { caller } = await startPair({ NATS_URL: bare, NATS_USER: "shop", NATS_PASSWORD: "s3cret" });
      expect(await caller.broker.call("things.get", { id: 4 })).toEqual({ id: 4 });
      const inUrl = nodeOf("other", { NATS_URL: `nats://shop:s3cret@${bare}` });
      await inUrl.broker.start();
      expect(await inUrl.broker.call("things.get", { id: 5 })).toEqual({ id: 5 });
      const stranger = saying(nodeOf("stranger", { NATS_URL: bare }));
      await stranger.says("Authorization Violation");
    } finally {
      await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
      await guarded.remove();
    }
  });

  it("goes to another of its servers when one is lost", async () => {
    const [first, second] = [await freePort(), await freePort()];
    const route = ["--cluster_name", "test"];
    const one = await startServer("nats", [...route, "--cluster", `nats://127.0.0.1:${first}`]);
    const two = await startServer("nats", [
      ...route,
      "--cluster",
      `nats://127.0.0.1:${second}`,
      "--routes",
      `nats://127.0.0.1:${first}`,
    ]);
    try {
      const { caller, worker } = await startPair({ NATS_URL: `${one.url},${two.url}` });
      expect(await caller.broker.call("things.get", { id: 6 })).toEqual({ id: 6 });
      await one.stop();
      await eventually(async () => (await isUp(caller)) && (await isUp(worker)));
      const answer = await eventually(() =>
        caller.broker.call("things.get", { id: 7 }).catch(() => undefined),
      );
      expect(answer).toEqual({ id: 7 });
    } finally {
      await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
      await Promise.all([one.remove(), two.remove()]);
    }
  });
});
