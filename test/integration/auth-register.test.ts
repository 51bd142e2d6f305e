import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
beforeAll(async () => {
  shop = await startShop({ env: { JWT_EXPIRES_IN: "10m" } });
});
afterAll(() => shop.stop());

const post = (path: string, body: object | string) => send(shop, "POST", `/api${path}`, body);
const get = (path: string, token?: string) => send(shop, "GET", `/api${path}`, undefined, { token });
const newEmail = () => `user-${newId()}@example.com`;
const registration = (fields: object = {}) => ({
  email: newEmail(),
  password: "a-good-password",
  first_name: "Ada",
  last_name: "Lovelace",
  ...fields,
});

describe.each(["/auth/register", "/users/register"])("POST %s", (path) => {
  test("makes an account and logs in", async () => {
    const answer = await post(
      path,
      registration({ email: `Ada.Of@Example.COM${path.length}`, phone: "+44 20 7946 0000" }),
    );
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      message: expect.any(String),
      user: {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        email: `ada.of@example.com${path.length}`,
        name: "Ada Lovelace",
        first_name: "Ada",
        last_name: "Lovelace",
        phone: "+44 20 7946 0000",
        role: "customer",
        is_active: true,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        updated_at: expect.stringMatching(/Z$/),
      },
      access_token: expect.any(String),
      refresh_token: expect.stringMatching(/^[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}$/),
      token_type: "Bearer",
      expires_in: 600,
    });
    expect((await get("/auth/verify", String(answer.at("access_token")))).status).toBe(200);
  });

  test("takes one name for both", async () => {
    const { first_name: _f, last_name: _l, ...rest } = registration();
    const answer = await post(path, { ...rest, name: "Ada King Lovelace" });
    expect(answer.status).toBe(201);
    expect(answer.at("user")).toMatchObject({ first_name: "Ada King", last_name: "Lovelace", phone: null });
    const single = await post(path, { ...rest, email: newEmail(), name: "Ada" });
    expect(single.at("user")).toMatchObject({ first_name: "Ada", last_name: "", name: "Ada" });
  });

  test("refuses an email that is taken, in any case", async () => {
    const first = registration();
    await post(path, first);
    for (const email of [first.email, first.email.toUpperCase()]) {
      const answer = await post(path, { ...first, email });
      expect([answer.status, answer.at("code")]).toEqual([409, "EMAIL_TAKEN"]);
    }
  });

  test.each([7, 129])("refuses a password of %i characters", async (length) => {
    const answer = await post(path, registration({ password: "p".repeat(length) }));
    expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
    expect(answer.at("details", "violations", 0, "path")).toBe("/password");
    expect(JSON.stringify(answer.body)).not.toContain("ppppppp");
  });

  test.each([8, 128])(
    "takes a password of %i characters, and lets in with the whole of it only",
    async (length) => {
      const account = registration({ password: "p".repeat(length) });
      expect((await post(path, account)).status).toBe(201);
      const { email } = account;
      expect((await post("/auth/login", { email, password: "p".repeat(length) })).status).toBe(200);
      expect((await post("/auth/login", { email, password: "p".repeat(length - 1) })).status).toBe(401);
      expect((await post("/auth/login", { email, password: "p".repeat(length + 1) })).status).toBe(401);
    },
  );

  test.each([
    ["no email", { email: undefined }, "/email"],
    ["an email without @", { email: "ada.example.com" }, "/email"],
    ["an email with a blank", { email: "ada lovelace@example.com" }, "/email"],
    ["an email with a header in it", { email: "ada@example.com\r\nBcc: x@example.com" }, "/email"],
    ["an email of 255 characters", { email: `${"a".repeat(243)}@example.com` }, "/email"],
    ["an email that is a list", { email: ["ada@example.com"] }, "/email"],
    ["no password", { password: undefined }, "/password"],
    ["a password that is a number", { password: 12345678 }, "/password"],
    ["no names", { first_name: undefined, last_name: undefined }, "/first_name"],
    ["one of two names", { last_name: undefined }, "/last_name"],
    ["a blank name", { first_name: "   " }, "/first_name"],
    ["a name of 101 characters", { first_name: "a".repeat(101) }, "/first_name"],
    ["a very long name", { first_name: "a".repeat(500_000) }, "/first_name"],
    ["a phone that is none", { phone: "call me" }, "/phone"],
    ["a role", { role: "admin" }, "/role"],
    ["an unknown field", { is_admin: true }, "/is_admin"],
  ])("refuses %s", async (_, fields, path_) => {
    const answer = await post(path, registration(fields));
    expect([answer.status, answer.at("code")]).toEqual([422, "VALIDATION_FAILED"]);
    expect(answer.at("details", "violations", 0, "path")).toBe(path_);
  });

  test.each([
    ["a NUL in a name", registration({ first_name: "Ada\u0000" })],
    ["half a surrogate pair", '{"email":"ada@example.com","password":"a-good-password","name":"\\ud800"}'],
    ["no JSON", "email=ada@example.com"],
    ["a list", "[]"],
    [
      "a prototype",
      '{"email":"ada@example.com","password":"a-good-password","name":"Ada","__proto__":{"role":"admin"}}',
    ],
  ])("refuses %s as malformed", async (_, body) => {
    const answer = await post(path, body);
    expect([answer.status, answer.at("code")]).toEqual([400, "MALFORMED_REQUEST"]);
  });

  test.each([
    "Robert'); DROP TABLE users.users;--",
    '$1 $$ %s :name \\ " ` <script>alert(1)</script>',
    "Ægir Þórðarson 李小龍 🦄",
    "شهرزاد عبد الله",
  ])("keeps the name %j as it is", async (first_name) => {
    const answer = await post(path, registration({ first_name }));
    expect(answer.status).toBe(201);
    expect(answer.at("user", "first_name")).toBe(first_name);
  });
});

test("50 registrations of one email at once make one account", async () => {
  const account = registration();
  const answers = await Promise.all(Array.from({ length: 50 }, () => post("/auth/register", account)));
  const statuses = answers.map((answer) => answer.status);
  expect(statuses.filter((status) => status === 201)).toHaveLength(1);
  expect(statuses.filter((status) => status === 409)).toHaveLength(49);
});
