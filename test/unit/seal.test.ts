import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type BrokerOptions, ServiceBroker } from "moleculer";
import { guestPacket, Seal } from "../../lib/seal.ts";
import { permissionsMiddleware } from "../../middlewares/permissions.ts";
import type { Principal } from "../../services/auth/auth.contract.ts";

const OURS = "a".repeat(32);
const NEXT = "b".repeat(32);
const PACKET = Buffer.from('{"sender":"orders-1","action":"users.list"}');

describe("a sealed packet", () => {
  it("is known by who has the secret, and read by who hasn't", () => {
    const sealed = new Seal([OURS]).close("REQ", PACKET);
    expect(new Seal([OURS]).open("REQ", sealed)).toEqual({ data: PACKET, isOurs: true });
    expect(new Seal([NEXT]).open("REQ", sealed)).toEqual({ data: PACKET, isOurs: false });
    expect(new Seal([]).open("REQ", sealed)).toEqual({ data: PACKET, isOurs: false });
  });

  it("is known under an old and a new secret while one replaces the other", () => {
    const [before, both, after] = [new Seal([OURS]), new Seal([NEXT, OURS]), new Seal([NEXT])];
    expect(both.open("REQ", before.close("REQ", PACKET)).isOurs).toBe(true);
    expect(after.open("REQ", both.close("REQ", PACKET)).isOurs).toBe(true);
    expect(after.open("REQ", before.close("REQ", PACKET)).isOurs).toBe(false);
  });

  it("is none any more when anything of it is changed", () => {
    const seal = new Seal([OURS]);
    const sealed = seal.close("REQ", PACKET);
    expect(seal.open("EVENT", sealed).isOurs).toBe(false);
    for (let at = 0; at < sealed.length; at++) {
      const altered = Buffer.from(sealed);
      altered.writeUInt8(altered.readUInt8(at) ^ 1, at);
      expect([at, seal.open("REQ", altered).isOurs]).toEqual([at, false]);
    }
    for (const cut of [0, 1, 44, 45, sealed.length - 1])
      expect(seal.open("REQ", sealed.subarray(0, cut)).isOurs).toBe(false);
  });
});

describe("a packet without a seal", () => {
  const left = (kind: string, payload: object): unknown => {
    const packet = guestPacket(
      kind,
      Buffer.from(JSON.stringify({ ver: "5", sender: "@repl.ada", ...payload })),
    );
    return packet && JSON.parse(packet.toString());
  };

  it.each([
    ["a node of the shop", "orders-1"],
    ["nobody", undefined],
    ["another subject", "@repl.a.>"],
    ["too deep", "@repl.a.b.c"],
    ["more than a name", "@repl.a 0\r\nPUB x 0"],
  ])("is dropped when it says it comes from %s", (_, sender) => {
    for (const kind of ["REQ", "INFO", "DISCONNECT", "HEARTBEAT"])
      expect(left(kind, { sender, action: "users.list" })).toBeUndefined();
  });

  it.each(["EVENT", "RES", "GOSSIP_RES", "REQB"])("is dropped as %s", (kind) => {
    expect(left(kind, { id: "1", data: {} })).toBeUndefined();
  });

  it("is dropped when it is no JSON", () => {
    expect(guestPacket("REQ", Buffer.from("@repl.ada"))).toBeUndefined();
  });

  it("offers no services", () => {
    expect(left("INFO", { services: [{ name: "auth" }], hostname: "h", metadata: { a: 1 } })).toEqual(
      expect.objectContaining({ sender: "@repl.ada", hostname: "h", services: [], metadata: {} }),
    );
  });

  it("asks with what a client of the REST API could say, and no more", () => {
    const user = { id: "x", role: "admin", session_id: "y" };
    const meta = { user, clientIp: "1.2.3.4", $statusCode: 200, idempotencyKey: "k", accessToken: "t.t.t" };
    const asked = { id: "1", action: "users.list", params: { page: 1 } };
    const more = { caller: "orders", level: 9, headers: { traceparent: "x" }, requestID: "a\nb", meta };
    expect(left("REQ", { ...asked, ...more })).toMatchObject({
      ...{ ...asked, caller: null, level: 1, headers: {} },
      meta: { idempotencyKey: "k", accessToken: "t.t.t" },
    });
    expect(Object.keys(Object(Object(left("REQ", { ...asked, ...more })).meta)).sort()).toEqual([
      "accessToken",
      "idempotencyKey",
    ]);
    expect(left("REQ", { ...asked, ...more })).not.toHaveProperty("requestID");
  });
});

describe("a guest node's request", () => {
  const ADMIN: Principal = {
    id: "01a1f902-d506-770f-9b6c-099c7ad20bd0",
    role: "admin",
    session_id: "01a1f902-d506-770f-9b6c-099c7ad20bd1",
  };
  const tokens = new Map<string, Principal>([
    ["admins", ADMIN],
    ["customers", { ...ADMIN, role: "customer" }],
  ]);
  // Actions of the shop's names, so that the contracts' permissions are theirs; they answer whom they take the caller for.
  const own = (name: string, actions: string[]) => ({
    name,
    actions: Object.fromEntries(actions.map((key) => [key, (ctx: { meta: object }) => ({ ...ctx.meta })])),
  });
  const options: BrokerOptions = {
    logger: false,
    transporter: "Fake",
    namespace: "seal",
    skipProcessEventRegistration: true,
  };
  const node = new ServiceBroker({ ...options, nodeID: "shop", middlewares: [permissionsMiddleware()] });
  const guest = new ServiceBroker({ ...options, nodeID: "@repl.ada" });
  const ask = async (action: string, meta: object = {}, more: object = {}): Promise<unknown> =>
    await guest.call(action, {}, { nodeID: "shop", meta, ...more });

  beforeAll(async () => {
    node.createService(own("users", ["list", "checkPassword"]));
    node.createService(own("cart", ["get"]));
    node.createService(own("stray", ["do"]));
    node.createService({
      name: "auth",
      actions: {
        resolve: (ctx: { params: { token: string } }) => tokens.get(ctx.params.token) ?? null,
        login: () => "in",
      },
    });
    await Promise.all([node.start(), guest.start()]);
    await guest.waitForServices(["users", "auth"], 5_000, 10);
  });
  afterAll(async () => {
    await Promise.all([node.stop(), guest.stop()]);
  });

  const claim = { user: ADMIN };

  it.each<[action: string, meta: object, more: object, code: number]>([
    ["users.list", {}, {}, 401],
    ["users.list", claim, {}, 401],
    ["users.list", claim, { caller: "gateway" }, 401],
    ["users.list", { ...claim, accessToken: "customers" }, {}, 403],
    ["users.list", { ...claim, accessToken: "made-up" }, {}, 401],
    ["users.checkPassword", claim, { caller: "auth" }, 401],
    ["users.checkPassword", { accessToken: "admins" }, { caller: "auth" }, 403],
    ["auth.resolve", {}, { caller: "gateway" }, 401],
    ["auth.login", { accessToken: "admins" }, {}, 403],
    ["stray.do", { accessToken: "admins" }, {}, 403],
    ["$node.list", claim, {}, 401],
    ["$node.list", { accessToken: "customers" }, {}, 403],
    ["$node.options", { accessToken: "admins" }, {}, 403],
  ])("of %s with %j and %j is refused", async (action, meta, more, code) => {
    await expect(ask(action, meta, more)).rejects.toMatchObject({ code });
  });

  it("is that of the person whose token it carries", async () => {
    expect(await ask("users.list", { accessToken: "admins" })).toEqual({ user: ADMIN });
    expect(await ask("$node.services", { accessToken: "admins" })).toBeInstanceOf(Array);
  });

  it("is nobody's where everybody may ask, whatever it claims", async () => {
    expect(await ask("cart.get", { ...claim, clientIp: "1.2.3.4" })).toEqual({});
  });
});
