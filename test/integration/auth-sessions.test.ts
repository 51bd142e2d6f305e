import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import jwt from "jsonwebtoken";
import { newId } from "../../lib/ids.ts";
import { type Answer, adminToken, givenUser, type RequestOptions, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
beforeAll(async () => {
  shop = await startShop({ env: { JWT_EXPIRES_IN: "10m" } });
});
afterAll(() => shop.stop());

const post = (path: string, body: object | string, options?: RequestOptions) =>
  send(shop, "POST", `/api${path}`, body, options);
const get = (path: string, token?: string) => send(shop, "GET", `/api${path}`, undefined, { token });

/** Asks the shop as it is some seconds later, too late for the other of two tabs. */
async function later(ask: () => Promise<Answer>): Promise<Answer> {
  const now = Date.now();
  const clock = jest.spyOn(Date, "now").mockReturnValue(now + 6000);
  return await ask().finally(() => clock.mockRestore());
}

describe("/auth/verify", () => {
  test.each(["GET", "POST"])("%s tells whose the token is", async (method) => {
    const user = await givenUser(shop);
    const answer = await send(shop, method, "/api/auth/verify", undefined, { token: user.token });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      valid: true,
      user: expect.objectContaining({ id: user.id, email: user.email }),
    });
  });

  test("refuses no token", async () => {
    const answer = await get("/auth/verify");
    expect([answer.status, answer.at("code")]).toEqual([401, "UNAUTHENTICATED"]);
  });

  test("refuses tokens that are not good", async () => {
    const user = await givenUser(shop);
    const claims = jwt.decode(user.token, { json: true });
    const [secret = ""] = shop.config.JWT_SECRET;
    const bad = {
      tampered: `${user.token.slice(0, -8)}AAAAAAAA`,
      forged: jwt.sign({ ...claims }, `${secret}!`),
      expired: jwt.sign({ ...claims, exp: Math.floor(Date.now() / 1000) - 60 }, secret),
      promoted: `${user.token.split(".")[0]}.${Buffer.from(JSON.stringify({ ...claims, role: "admin" })).toString("base64url")}.${user.token.split(".")[2]}`,
      unsigned: `${Buffer.from('{"alg":"none"}').toString("base64url")}.${user.token.split(".")[1]}.`,
      "of no session": jwt.sign({ ...claims, sid: newId() }, secret),
      "of another's session": jwt.sign({ ...claims, sub: newId() }, secret),
      "the refresh token": user.refreshToken,
    };
    for (const [name, token] of Object.entries(bad)) {
      const answer = await get("/auth/verify", token);
      expect([name, answer.status, answer.at("code")]).toEqual([name, 401, "INVALID_TOKEN"]);
    }
    expect((await get("/auth/verify", jwt.sign({ ...claims }, secret))).status).toBe(200);
  });
});

describe("POST /auth/refresh", () => {
  test("gives a new pair", async () => {
    const user = await givenUser(shop);
    const answer = await post("/auth/refresh", { refresh_token: user.refreshToken });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ user: { id: user.id }, token_type: "Bearer", expires_in: 600 });
    expect(answer.at("access_token")).not.toBe(user.token);
    expect(answer.at("refresh_token")).not.toBe(user.refreshToken);
    expect((await get("/auth/verify", String(answer.at("access_token")))).status).toBe(200);
    const again = await post("/auth/refresh", { refresh_token: String(answer.at("refresh_token")) });
    expect(again.status).toBe(200);
  });

  test("a spent token is refused, and ends the session", async () => {
    const user = await givenUser(shop);
    const second = await post("/auth/refresh", { refresh_token: user.refreshToken });
    const reused = await later(() => post("/auth/refresh", { refresh_token: user.refreshToken }));
    expect([reused.status, reused.at("code")]).toEqual([401, "INVALID_TOKEN"]);
    expect((await get("/auth/verify", String(second.at("access_token")))).status).toBe(401);
    const next = await post("/auth/refresh", { refresh_token: String(second.at("refresh_token")) });
    expect(next.status).toBe(401);
  });

  test("of many tabs with one token, at once or one after the other, one wins and goes on", async () => {
    const { refreshToken } = await givenUser(shop);
    const refresh = () => post("/auth/refresh", { refresh_token: refreshToken });
    const answers = [...(await Promise.all(Array.from({ length: 10 }, refresh))), await refresh()];
    const [won, ...others] = answers.sort((a, b) => a.status - b.status);
    expect(won?.status).toBe(200);
    for (const lost of others) expect([lost.status, lost.at("code")]).toEqual([401, "INVALID_TOKEN"]);
    expect((await get("/auth/verify", String(won?.at("access_token")))).status).toBe(200);
    const next = await post("/auth/refresh", { refresh_token: String(won?.at("refresh_token")) });
    expect(next.status).toBe(200);
  });

  test("does not end another session of the user", async () => {
    const user = await givenUser(shop);
    const { email, password } = user;
    const phone = await post("/auth/login", { email, password });
    await post("/auth/refresh", { refresh_token: user.refreshToken });
    await later(() => post("/auth/refresh", { refresh_token: user.refreshToken }));
    expect((await get("/auth/verify", String(phone.at("access_token")))).status).toBe(200);
  });

  test.each([
    ["an access token's text", "a.b.c", 401],
    ["a token of no session", `${newId()}.${"A".repeat(43)}`, 401],
    ["SQL", "' OR 1=1 --", 401],
    ["nothing", "", 422],
    ["a very long text", "a".repeat(513), 422],
  ])("refuses %s", async (_, refresh_token, status) => {
    expect((await post("/auth/refresh", { refresh_token })).status).toBe(status);
  });

  test("refuses the access token", async () => {
    const { token } = await givenUser(shop);
    expect((await post("/auth/refresh", { refresh_token: token })).status).toBe(401);
  });
});

describe("POST /auth/logout", () => {
  test("ends this session and no other", async () => {
    const user = await givenUser(shop);
    const { email, password } = user;
    const phone = await post("/auth/login", { email, password });
    const answer = await post("/auth/logout", {}, { token: user.token });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ message: expect.any(String) });
    expect((await get("/auth/verify", user.token)).status).toBe(401);
    expect((await post("/auth/refresh", { refresh_token: user.refreshToken })).status).toBe(401);
    expect((await post("/auth/logout", {}, { token: user.token })).status).toBe(401);
    expect((await get("/auth/verify", String(phone.at("access_token")))).status).toBe(200);
  });

  test("needs a token, and takes nothing else", async () => {
    expect((await post("/auth/logout", {})).status).toBe(401);
    const user = await givenUser(shop);
    expect((await post("/auth/logout", { all: true }, { token: user.token })).status).toBe(422);
  });
});

describe("an account that is no longer active", () => {
  test("has no session, can't log in, refresh or verify; and can again when it is", async () => {
    const user = await givenUser(shop);
    const { email, password } = user;
    const admin = await adminToken(shop);
    const setActive = (is_active: boolean) =>
      send(shop, "PUT", `/api/users/${user.id}`, { is_active }, { token: admin });
    expect((await setActive(false)).status).toBe(200);
    expect((await get("/auth/verify", user.token)).status).toBe(401);
    expect((await post("/auth/refresh", { refresh_token: user.refreshToken })).status).toBe(401);
    const refused = await post("/auth/login", { email, password });
    expect([refused.status, refused.at("code")]).toEqual([401, "INVALID_CREDENTIALS"]);
    await setActive(true);
    expect((await get("/auth/verify", user.token)).status).toBe(401);
    expect((await post("/auth/login", { email, password })).status).toBe(200);
  });
});

describe("actions for services only", () => {
  test.each([
    "auth.resolve",
    "auth.endSessions",
    "users.create",
    "users.checkPassword",
    "users.setPassword",
  ] as const)("%s has no address, and answers no person", async (action) => {
    const token = await adminToken(shop);
    const path = `/api/${action.replace(".", "/")}`;
    for (const method of ["GET", "POST"]) {
      // GET /users/:id takes any word for an id, and refuses it.
      expect([404, 405, 422]).toContain((await send(shop, method, path, undefined, { token })).status);
    }
    await expect(shop.broker.call(action, {})).rejects.toMatchObject({ code: 401 });
    const user = { id: newId(), role: "admin", session_id: newId() };
    await expect(shop.broker.call(action, {}, { meta: { user } })).rejects.toMatchObject({ code: 403 });
  });
});
