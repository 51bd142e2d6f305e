import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Context, ServiceSchema } from "moleculer";
import { newId } from "../../lib/ids.ts";
import { adminToken, eventually, givenUser, send, type TestUser } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

interface Mail {
  key: string;
  to: string;
  subject: string;
  body: string;
}
const mails: Mail[] = [];
/** Emails at which the mail service fails. */
const unreachable = new Set<string>();
const notifications = (): ServiceSchema => ({
  name: "notifications",
  actions: {
    sendMail(ctx: Context<Mail>) {
      if (unreachable.has(ctx.params.to)) throw new Error("The mail service is away.");
      mails.push(ctx.params);
      return null;
    },
    onUserRegistered: () => null,
  },
});

let shop: Shop;
beforeAll(async () => {
  shop = await startShop({ replace: { notifications }, env: { PASSWORD_REQUIRE: "lower,symbol" } });
});
afterAll(() => shop.stop());

const NEW = "a-new-password";
const forgot = (email: string) => send(shop, "POST", "/api/auth/password/forgot", { email });
const reset = (token: string, password = NEW) =>
  send(shop, "POST", "/api/auth/password/reset", { token, password });
const logIn = (email: string, password: string) => send(shop, "POST", "/api/auth/login", { email, password });

/** Asks for a reset and reads the mail. @returns its token */
async function mailedToken({ email }: TestUser): Promise<string> {
  const before = mails.filter((mail) => mail.to === email).length;
  expect((await forgot(email)).status).toBe(202);
  const mail = await eventually(async () => mails.filter(({ to }) => to === email)[before]);
  const token = /^[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}$/m.exec(mail.body)?.[0];
  if (token === undefined) throw new Error("The mail has no token.");
  return token;
}

describe("POST /auth/password/forgot", () => {
  test("answers a known and an unknown email alike, and mails the known one only", async () => {
    const { email } = await givenUser(shop);
    const stranger = `nobody-${newId()}@example.com`;
    const answers = [await forgot(stranger), await forgot(` ${email.toUpperCase()} `)];
    for (const answer of answers) {
      expect(answer.status).toBe(202);
      expect(answer.body).toEqual(answers[0]?.body);
    }
    await eventually(async () => mails.some((mail) => mail.to === email));
    expect(mails.filter((mail) => mail.to === stranger)).toEqual([]);
  });

  test("mails nobody whose account is not active", async () => {
    const [gone, active] = [await givenUser(shop), await givenUser(shop)];
    const token = await adminToken(shop);
    await send(shop, "PUT", `/api/users/${gone.id}`, { is_active: false }, { token });
    expect((await forgot(gone.email)).status).toBe(202);
    await mailedToken(active);
    expect(mails.filter((mail) => mail.to === gone.email)).toEqual([]);
  });

  test("tells nothing when the mail can't be sent", async () => {
    const { email } = await givenUser(shop);
    unreachable.add(email);
    const answer = await forgot(email);
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual((await forgot(`nobody-${newId()}@example.com`)).body);
  });

  test.each([
    ["no email", {}],
    ["a list", { email: ["ada@example.com"] }],
    ["a very long one", { email: "a".repeat(255) }],
    ["an unknown field", { email: "ada@example.com", url: "https://evil.example" }],
  ])("refuses %s", async (_, body) => {
    expect((await send(shop, "POST", "/api/auth/password/forgot", body)).status).toBe(422);
  });
});

describe("POST /auth/password/reset", () => {
  test("sets the password, ends every session, and logs in with the new one only", async () => {
    const user = await givenUser(shop);
    const phone = await logIn(user.email, user.password);
    const answer = await reset(await mailedToken(user));
    expect(answer.status).toBe(202);
    for (const token of [user.token, String(phone.at("access_token"))]) {
      expect((await send(shop, "GET", "/api/auth/verify", undefined, { token })).status).toBe(401);
    }
    const refreshed = await send(shop, "POST", "/api/auth/refresh", { refresh_token: user.refreshToken });
    expect(refreshed.status).toBe(401);
    expect((await logIn(user.email, user.password)).status).toBe(401);
    const again = await logIn(user.email, NEW);
    expect(again.status).toBe(200);
    const token = String(again.at("access_token"));
    expect((await send(shop, "GET", "/api/auth/verify", undefined, { token })).status).toBe(200);
  });

  test("a token works once", async () => {
    const user = await givenUser(shop);
    const token = await mailedToken(user);
    expect((await reset(token)).status).toBe(202);
    const second = await reset(token, "yet-another-password");
    expect([second.status, second.at("code")]).toEqual([401, "INVALID_TOKEN"]);
    expect((await logIn(user.email, NEW)).status).toBe(200);
  });

  test("of many resets at once with one token, one sets its password", async () => {
    const user = await givenUser(shop);
    const token = await mailedToken(user);
    const passwords = Array.from({ length: 8 }, (_, n) => `a-new-password-${"abcdefgh"[n]}`);
    const answers = await Promise.all(passwords.map((password) => reset(token, password)));
    expect(answers.map((answer) => answer.status).sort()).toEqual([202, ...Array(7).fill(401)]);
    const winner = answers.findIndex((answer) => answer.status === 202);
    const logins = await Promise.all(passwords.map((password) => logIn(user.email, password)));
    expect(logins.findIndex((login) => login.status === 200)).toBe(winner);
  });

  test("only the latest token is good", async () => {
    const user = await givenUser(shop);
    const first = await mailedToken(user);
    const second = await mailedToken(user);
    expect((await reset(first)).status).toBe(401);
    expect((await reset(second)).status).toBe(202);
  });

  test("a refused password does not spend the token", async () => {
    const user = await givenUser(shop);
    const token = await mailedToken(user);
    expect((await reset(token, "short-1")).status).toBe(422);
    const plain = await reset(token, "NOLOWERNOSYMBOL");
    expect(plain.status).toBe(422);
    expect(plain.at("details", "violations")).toEqual([
      { path: "/password", message: expect.stringContaining("lower-case") },
      { path: "/password", message: expect.stringContaining("symbol") },
    ]);
    expect((await reset(token)).status).toBe(202);
    expect((await reset(token)).status).toBe(401);
  });

  test("a token of one user is none of another's", async () => {
    const [ada, eve] = [await givenUser(shop), await givenUser(shop)];
    await mailedToken(ada);
    const secret = (await mailedToken(eve)).split(".")[1];
    expect((await reset(`${ada.id}.${secret}`)).status).toBe(401);
    expect((await logIn(ada.email, ada.password)).status).toBe(200);
  });

  test.each([
    ["a made-up token", `${newId()}.${"A".repeat(43)}`, 401],
    ["SQL", "' OR 1=1 --", 401],
    ["no token", "", 422],
    ["a very long one", "a".repeat(201), 422],
    ["a NUL", "a\u0000", 400],
  ])("refuses %s", async (_, token, status) => {
    expect((await reset(token)).status).toBe(status);
  });

  test.each([7, 129])("refuses a password of %i characters", async (length) => {
    expect((await reset(`${newId()}.${"A".repeat(43)}`, "p".repeat(length))).status).toBe(422);
  });
});

test("PASSWORD_REQUIRE holds at registration too", async () => {
  const account = { email: `user-${newId()}@example.com`, name: "Ada Lovelace" };
  const register = (password: string) => send(shop, "POST", "/api/auth/register", { ...account, password });
  const refused = await register("nosymbolhere");
  expect([refused.status, refused.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
  expect(refused.at("details", "violations", 0, "path")).toBe("/password");
  expect((await register("a-symbol-here")).status).toBe(201);
});

test("the store keeps no token that a reader of it could use", async () => {
  const user = await givenUser(shop);
  const token = await mailedToken(user);
  const secrets = [token, user.refreshToken].map((text) => text.split(".")[1] ?? "");
  const rows = await databaseText();
  expect(rows).toContain(`reset:${user.id}`);
  for (const secret of [...secrets, user.password]) expect(rows).not.toContain(secret);
});

/** All that the shop keeps of users and sessions, as text. */
async function databaseText(): Promise<string> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: shop.databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query(
      "SELECT e::text AS row FROM kv.entries e UNION ALL SELECT u::text FROM users.users u",
    );
    return JSON.stringify(rows);
  } finally {
    await client.end();
  }
}
