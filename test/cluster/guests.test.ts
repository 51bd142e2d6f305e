import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { connect, ErrorCode, Events, type Msg, type NatsConnection, type NatsError } from "nats";
import { repl } from "../../cli/actions/repl.ts";
import { joinCluster } from "../../cli/repl/join.ts";
import { brokerOptions } from "../../lib/broker.ts";
import { loadConfig } from "../../lib/config.ts";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import { productsContract } from "../../services/products/products.contract.ts";
import { act, adminOf, type Ran } from "../cli/support.ts";
import { adminToken, eventually, givenProduct, givenUser, send } from "../helpers/client.ts";
import { type Cluster, startCluster } from "../helpers/cluster.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { fakeService } from "../helpers/fakes.ts";
import { haveServers, startServer, type TestServer } from "../helpers/servers.ts";

/** What somebody who reaches NATS may do, with the shop's secret unknown to them: by `molecart repl` and by hand. */

const PREFIX = `MOL-${TEST_ENV.NAMESPACE}`;
const ADMIN_CLAIM = { user: { id: "x", role: "admin", session_id: "x" } };

/** An answer starts with JSON; the seal after it is of no interest to a stranger. */
function read({ data }: Msg): { id: string; success: boolean; error?: { code: number } } {
  const [json = ""] = new TextDecoder().decode(data).split("\n");
  return JSON.parse(json);
}

(haveServers("nats") ? describe : describe.skip)("a stranger on the cluster's NATS", () => {
  let cluster: Cluster;
  let admin: Record<string, string>;
  let customer: Record<string, string>;
  let userId: string;
  let nats: NatsConnection;

  beforeAll(async () => {
    cluster = await startCluster({ shop: SERVICE_NAMES.join(",") });
    admin = adminOf(cluster);
    const user = await givenUser(cluster);
    userId = user.id;
    customer = { MOLECART_URL: cluster.url, ADMIN_EMAIL: user.email, ADMIN_PASSWORD: user.password };
    nats = await connect({ servers: cluster.nats.url });
  });
  afterAll(async () => {
    await nats?.close();
    await cluster?.stop();
  });

  const asNode = async (lines: string[], env: Record<string, string>, guest = false): Promise<Ran> =>
    await act(async (io) => await repl({ nats: cluster.nats.url, guest }, io), {
      env: { ...env, NAMESPACE: TEST_ENV.NAMESPACE },
      input: lines.join("\n"),
    });

  it("calls as whom they are logged in as", async () => {
    const asAdmin = await asNode(["call users.list --limit 1", "call $node.services"], admin);
    expect(asAdmin).toMatchObject({ code: 0, stderr: expect.stringContaining("(admin)") });
    expect(asAdmin.stdout).toContain('"total":');
    const asCustomer = await asNode(["call orders.list"], customer);
    expect(asCustomer).toMatchObject({ code: 0, stderr: expect.stringContaining("(customer)") });
    expect(asCustomer.json()).toMatchObject({ orders: [] });
  });

  it("is no node that the shop would miss", async () => {
    const { code, lines } = await asNode(["nodes", "call gateway.status"], admin);
    expect(code).toBe(0);
    const [one, other, status] = lines();
    expect([one, other]).toMatchObject([{ id: expect.stringMatching(/^@repl\./) }, { id: "shop" }]);
    expect(status).toMatchObject({ nodes: [{ id: "shop", state: "ready" }] });
  });

  const REFUSED: [line: string, refusal: string][] = [
    ["call users.list", "users.list: You are not allowed to do this. (FORBIDDEN)"],
    ["call users.list --#user.role admin", "users.list: meta can't say user"],
    ['call users.list {} {"user":{"role":"admin"}}', "users.list: meta can't say user"],
    ['call users.list {} {"accessToken":"x.y.z"}', "users.list: meta can't say accessToken"],
    ["call users.list --$caller orders", "(FORBIDDEN)"],
    ["call inventory.changes", "(FORBIDDEN)"],
    ["call auth.resolve --token x", "(FORBIDDEN)"],
    ["call auth.login --email a@example.com --password password-1", "(FORBIDDEN)"],
    ["call gateway.rest", "(SERVICE_NOT_FOUND)"],
    ["call $node.options", "(FORBIDDEN)"],
    ["dcall shop $node.list", "(FORBIDDEN)"],
    ["env", "error: unknown command 'env'"],
    ["info", "error: unknown command 'info'"],
    ["load evil.service.js", "error: unknown command 'load'"],
    ["broadcast products.changed", "error: unknown command 'broadcast'"],
  ];

  it("can't do what their login can't, whatever they type", async () => {
    const { code, stdout, stderr } = await asNode(
      REFUSED.map(([line]) => line),
      customer,
    );
    expect([code, stdout]).toEqual([1, ""]);
    const [hello, , ...answers] = stderr.trimEnd().split("\n");
    expect(hello).toContain("(customer)");
    expect(answers).toEqual(REFUSED.map(([, refusal]) => expect.stringContaining(refusal)));
  });

  it("is a guest without a login", async () => {
    const { code, stdout, stderr } = await asNode(["call products.categories", "call users.list"], {}, true);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ categories: expect.any(Array) });
    expect(stderr).toContain("UNAUTHENTICATED");
  });

  it("is nobody when they write packets of their own", async () => {
    const answers: { id: string; success: boolean; error?: { code: number } }[] = [];
    nats.subscribe(`${PREFIX}.RES.@repl.evil`, { callback: (_, message) => answers.push(read(message)) });
    const asks = ["users.list", "users.checkPassword", "auth.resolve", "$node.options"];
    const callers = [null, "gateway", "orders"];
    for (const caller of callers)
      for (const action of asks) {
        const packet = { ver: "5", sender: "@repl.evil", id: `${action} ${caller}`, level: 1, params: {} };
        const forged = { ...packet, action, caller, meta: ADMIN_CLAIM };
        nats.publish(`${PREFIX}.REQ.shop`, JSON.stringify(forged));
      }
    await eventually(async () => answers.length === asks.length * callers.length);
    for (const { id, success, error } of answers)
      expect([id, success, error?.code]).toEqual([id, false, 401]);
  });

  it("is not heard when they say that they are a node of the shop", async () => {
    const sender = "orders-9";
    const answers: unknown[] = [];
    nats.subscribe(`${PREFIX}.RES.${sender}`, { callback: (_, message) => answers.push(read(message)) });
    const packet = (payload: object) => JSON.stringify({ ver: "5", sender, meta: ADMIN_CLAIM, ...payload });
    const service = { name: "auth", fullName: "auth", settings: {}, metadata: {}, events: {} };
    const actions = { "auth.login": { name: "auth.login", rawName: "login" } };
    const about = {
      instanceID: "i",
      ipList: [],
      hostname: "h",
      client: {},
      config: {},
      seq: 9,
      metadata: {},
    };
    for (const from of [sender, "@repl.evil"]) {
      const services = [{ ...service, actions }];
      nats.publish(`${PREFIX}.INFO`, packet({ ...about, sender: from, services }));
    }
    nats.publish(`${PREFIX}.DISCONNECT`, packet({ sender: "shop" }));
    const promote = { action: "users.update", params: { id: userId, role: "admin" } };
    for (const caller of [null, "gateway", "auth"])
      nats.publish(`${PREFIX}.REQ.shop`, packet({ id: `forged-${caller}`, caller, level: 1, ...promote }));
    await nats.flush();

    // What comes after it on the same way has come through.
    const token = await adminToken(cluster);
    const { code, stdout } = await asNode(["call $node.services", `call users.get --id ${userId}`], admin);
    expect(code).toBe(0);
    expect(stdout).toContain('"role":"customer"');
    expect(stdout).not.toMatch(/orders-9|@repl\.evil/);
    expect(answers).toEqual([]);
    expect((await send(cluster, "GET", `/api/users/${userId}`, undefined, { token })).at("role")).toBe(
      "customer",
    );
  });
});

(haveServers("nats") ? describe : describe.skip)("a cluster without CLUSTER_SECRET", () => {
  it("sells as any, and warns of whom it trusts", async () => {
    const layout = {
      front: "gateway,auth,users",
      back: "products,inventory,cart,orders,payments,notifications,analytics",
    };
    const cluster = await startCluster(layout, { env: { CLUSTER_SECRET: "" } });
    try {
      const token = await adminToken(cluster);
      const product = await givenProduct(cluster, token);
      const order = { items: [{ product_id: product, quantity: 1 }], shipping_address: "12 Analytical Row" };
      expect((await send(cluster, "POST", "/api/orders", order, { token })).status).toBe(201);
      for (const name of cluster.names)
        expect(cluster.node(name).output()).toContain("CLUSTER_SECRET is not set: whoever reaches NATS");
    } finally {
      await cluster.stop();
    }
  });
});

(haveServers("nats") ? describe : describe.skip)("an operator with a NATS user of their own", () => {
  const PASSWORDS = {
    NATS_PASSWORD: "of-the-nodes",
    NATS_ALICE_PASSWORD: "of-alice",
    NATS_BOB_PASSWORD: "of-bob",
  };
  let server: TestServer;
  let node: ServiceBroker;
  let directory: string;
  const at = (user: string, password: string) => server.url.replace("//", `//${user}:${password}@`);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "molecart-nats-"));
    const file = join(directory, "nats.conf");
    const text = await readFile(resolve(import.meta.dirname, "../../docker/nats-operators.conf"), "utf8");
    const passwords = Object.entries(PASSWORDS);
    await writeFile(
      file,
      passwords
        .reduce((made, [name, value]) => made.replace(`$${name}`, value), text)
        .replaceAll("MOL-molecart.", `${PREFIX}.`),
    );
    server = await startServer("nats", ["--config", file]);
    const env = { ...TEST_ENV, NODE_ID: "worker", NATS_URL: at("molecart", PASSWORDS.NATS_PASSWORD) };
    const config = loadConfig({ ...env, ...SECRETS }, { databaseUrl: "", secrets: SECRETS });
    node = new ServiceBroker({ ...brokerOptions(config), logger: false, skipProcessEventRegistration: true });
    node.createService(fakeService(productsContract, { categories: async () => ({ categories: [] }) })(node));
    await node.start();
  });
  afterAll(async () => {
    await node?.stop();
    await server?.remove();
    await rm(directory, { recursive: true, force: true });
  });

  const asBob = async (use: (nats: NatsConnection) => Promise<void>): Promise<void> => {
    const { host } = new URL(server.url);
    const nats = await connect({ servers: host, user: "bob", pass: PASSWORDS.NATS_BOB_PASSWORD });
    try {
      await use(nats);
    } finally {
      await nats.close();
    }
  };

  it.each([
    ["alice", "in its address", () => [at("alice", PASSWORDS.NATS_ALICE_PASSWORD), {}] as const],
    ["bob", "in the environment", () => [server.url, { NATS_USER: "bob", NATS_PASSWORD: "of-bob" }] as const],
  ])("joins as %s, named %s, and calls", async (_name, _where, given) => {
    const [servers, env] = given();
    const broker = await joinCluster(servers, { NAMESPACE: TEST_ENV.NAMESPACE, ...env });
    try {
      expect(await broker.call("products.categories", {})).toEqual({ categories: [] });
    } finally {
      await broker.stop();
    }
  });

  it.each([
    `${PREFIX}.REQ.>`,
    `${PREFIX}.RES.worker`,
    `${PREFIX}.EVENT.>`,
    `${PREFIX}.*.@repl.>`,
    `${PREFIX}.RES.@repl.alice.>`,
    "_INBOX.>",
    "_INBOX.alice.>",
    `${PREFIX}.>`,
    ">",
  ])("can't read %s", async (subject) => {
    await asBob(async (nats) => {
      const refused = Promise.withResolvers<NatsError | null>();
      nats.subscribe(subject, { callback: (error) => refused.resolve(error) });
      expect(await refused.promise).toMatchObject({ code: ErrorCode.PermissionsViolation });
    });
  });

  it("can't answer for a node, nor tell the others of an event", async () => {
    await asBob(async (nats) => {
      const refusals: unknown[] = [];
      void (async () => {
        for await (const { type, data } of nats.status()) if (type === Events.Error) refusals.push(data);
      })();
      nats.publish(`${PREFIX}.RES.worker`, "{}");
      nats.publish(`${PREFIX}.EVENT.worker`, "{}");
      await eventually(async () => refusals.length === 2);
      expect(refusals).toEqual([ErrorCode.PermissionsViolation, ErrorCode.PermissionsViolation]);
    });
  });
});
