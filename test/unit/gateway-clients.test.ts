import { EventEmitter } from "node:events";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { describe, expect, it } from "@jest/globals";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { clientIp, isSecure, limitKey } from "../../services/gateway/client-ip.ts";
import { LoginGuard } from "../../services/gateway/login-guard.ts";

function request(remoteAddress: string, headers: Record<string, string> = {}): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, "remoteAddress", { value: remoteAddress });
  return Object.assign(new IncomingMessage(socket), { headers });
}

describe("who a request is from", () => {
  const CASES: [string, boolean, string, string | undefined, string][] = [
    ["the peer", false, "198.51.100.1", undefined, "198.51.100.1"],
    ["the peer, whatever it claims", false, "198.51.100.1", "203.0.113.9", "198.51.100.1"],
    ["the peer of a dual-stack socket", false, "::ffff:198.51.100.1", undefined, "198.51.100.1"],
    ["whom the proxy names", true, "10.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["whom the proxy names last", true, "10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"],
    ["with a port", true, "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"],
    ["of IPv6", true, "10.0.0.1", "2001:db8::1", "2001:db8::1"],
    ["of IPv6 with a port", true, "10.0.0.1", "1.1.1.1, [2001:db8::1]:4711", "2001:db8::1"],
    ["the proxy, if it names none", true, "10.0.0.1", undefined, "10.0.0.1"],
    ["the proxy, if it names nonsense", true, "10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"],
    ["the proxy, if it names nobody", true, "10.0.0.1", "203.0.113.9,", "10.0.0.1"],
  ];

  it.each(CASES)("%s", (_name, trust, peer, forwarded, expected) => {
    const req = forwarded === undefined ? request(peer) : request(peer, { "x-forwarded-for": forwarded });
    expect(clientIp(req, trust)).toBe(expected);
  });

  it("comes over TLS only if a trusted proxy says so", () => {
    const proto = (value: string) => request("10.0.0.1", { "x-forwarded-proto": value });
    expect(isSecure(proto("https"), true)).toBe(true);
    expect(isSecure(proto("http, HTTPS"), true)).toBe(true);
    expect(isSecure(proto("https, http"), true)).toBe(false);
    expect(isSecure(proto("https"), false)).toBe(false);
    expect(isSecure(request("10.0.0.1"), true)).toBe(false);
  });

  it.each([
    ["203.0.113.9", "203.0.113.9"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:0db8:0001:0002::9", "2001:db8:1:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1:2:3:4", "fe80:0:0:0::/64"],
    ["1::2:3:4:5:6", "1:0:0:2::/64"],
  ])("%s is counted as %s", (ip, expected) => {
    expect(limitKey(ip)).toBe(expected);
  });
});

/** A response as the guard sees it: it has a status, and closes. */
function response(): ServerResponse {
  return new ServerResponse(new IncomingMessage(new Socket()));
}

function end(res: ServerResponse, status: number | "hung up"): void {
  if (status !== "hung up") res.writeHead(status);
  Object.defineProperty(res, "closed", { value: true });
  EventEmitter.prototype.emit.call(res, "close");
}

describe("the login guard", () => {
  const guardOf = (points: number) => new LoginGuard(new RateLimiterMemory({ points, duration: 300 }));
  const refused = expect.objectContaining({ type: "RATE_LIMITED", code: 429 });
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  async function attempt(
    guard: LoginGuard,
    status: number | "hung up",
    email = "a@example.com",
    ip = "1.1.1.1",
  ) {
    const res = response();
    await guard.admit(email, ip, res);
    end(res, status);
    await settle();
  }

  it("stops after as many failures as are allowed, for this account from this address", async () => {
    const guard = guardOf(3);
    for (let i = 0; i < 3; i++) await attempt(guard, 401);
    await expect(attempt(guard, 200)).rejects.toEqual(refused);
    await expect(attempt(guard, 200, " A@Example.COM ")).rejects.toEqual(refused);
    await attempt(guard, 200, "b@example.com");
    await attempt(guard, 200, "a@example.com", "2.2.2.2");
  });

  it("forgets failures at a success", async () => {
    const guard = guardOf(3);
    for (let round = 0; round < 3; round++)
      for (const status of [401, 401, 200]) await attempt(guard, status);
  });

  it.each([422, 500, 503, "hung up"] as const)("doesn't take %s for a wrong guess", async (status) => {
    const guard = guardOf(2);
    for (let i = 0; i < 5; i++) await attempt(guard, status);
  });

  it("lets a burst of guesses no further than a row of them", async () => {
    const guard = guardOf(3);
    const admitted: ServerResponse[] = [];
    const attempts = Array.from({ length: 20 }, async () => {
      const res = response();
      await guard.admit("a@example.com", "1.1.1.1", res);
      admitted.push(res);
    });
    const outcomes = Promise.allSettled(attempts);
    await settle();
    expect(admitted).toHaveLength(3);
    for (const res of admitted) end(res, 401);
    expect((await outcomes).filter(({ status }) => status === "rejected")).toHaveLength(17);
    expect(admitted).toHaveLength(3);
  });

  it("lets a burst of right passwords in, one after the other", async () => {
    const guard = guardOf(3);
    let underWay = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const res = response();
        await guard.admit("a@example.com", "1.1.1.1", res);
        underWay += 1;
        most = Math.max(most, underWay);
        await settle();
        underWay -= 1;
        end(res, 200);
      }),
    );
    expect(most).toBe(3);
  });

  it("keeps no place for who hung up while they waited", async () => {
    const guard = guardOf(2);
    const admitted = [response(), response()];
    await Promise.all(admitted.map((res) => guard.admit("a@example.com", "1.1.1.1", res)));
    const waiting = [response(), response(), response()];
    const outcomes = Promise.allSettled(waiting.map((res) => guard.admit("a@example.com", "1.1.1.1", res)));
    await settle();
    for (const res of [...waiting, ...admitted]) end(res, "hung up");
    expect(await outcomes).toEqual(waiting.map(() => expect.objectContaining({ status: "rejected" })));
    await attempt(guard, 200);
  });

  it("does nothing where limits are off", async () => {
    const guard = new LoginGuard(undefined);
    for (let i = 0; i < 50; i++) await attempt(guard, 401);
  });
});
