import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Context, ServiceSchema } from "moleculer";
import { newId } from "../../lib/ids.ts";
import { givenUser, type RequestOptions, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** The carts that a login asked to merge; a token of x's makes the cart service fail. */
const merges: { user_id: string; cart_token: string }[] = [];
const BROKEN_CART = "x".repeat(32);
const cart = (): ServiceSchema => ({
  name: "cart",
  actions: {
    merge(ctx: Context<{ user_id: string; cart_token: string }>) {
      if (ctx.params.cart_token === BROKEN_CART) throw new Error("The cart service is broken.");
      merges.push(ctx.params);
      return null;
    },
  },
});

let shop: Shop;
beforeAll(async () => {
  shop = await startShop({ replace: { cart }, env: { JWT_EXPIRES_IN: "10m" } });
});
afterAll(() => shop.stop());

const post = (path: string, body: object | string, options?: RequestOptions) =>
  send(shop, "POST", `/api${path}`, body, options);
const get = (path: string, token?: string) => send(shop, "GET", `/api${path}`, undefined, { token });
const newEmail = () => `user-${newId()}@example.com`;
const registration = (fields: object = {}) => ({
  email: newEmail(),
  password: "a-good-password",
  first_name: "Ada",
  last_name: "Lovelace",
  ...fields,
});

describe.each(["/auth/login", "/users/login"])("POST %s", (path) => {
  test("logs in, whatever the case of the email", async () => {
    const user = await givenUser(shop);
    const answer = await post(path, { email: ` ${user.email.toUpperCase()} `, password: user.password });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ user: { id: user.id }, token_type: "Bearer", expires_in: 600 });
    expect(answer.at("access_token")).not.toBe(user.token);
    expect((await get("/auth/verify", String(answer.at("access_token")))).status).toBe(200);
  });

  test("refuses any wrong pair alike", async () => {
    const user = await givenUser(shop);
    const wrong = [
      { email: user.email, password: "another-password" },
      { email: user.email, password: user.password.toUpperCase() },
      { email: user.email, password: "" },
      { email: newEmail(), password: user.password },
      { email: "' OR 1=1 --", password: "' OR 1=1 --" },
      { email: "%", password: user.password },
      { email: "", password: "" },
    ];
    for (const pair of wrong) {
      const answer = await post(path, pair);
      expect(answer.status).toBe(401);
      expect(answer.body).toEqual({
        error: "Email or password is wrong.",
        code: "INVALID_CREDENTIALS",
        request_id: expect.any(String),
      });
    }
  });

  test.each([
    ["no password", { email: "ada@example.com" }],
    ["an object for a password", { email: "ada@example.com", password: { $ne: "" } }],
    ["an unknown field", { email: "ada@example.com", password: "x", remember: true }],
    ["a password without end", { email: "ada@example.com", password: "p".repeat(1025) }],
  ])("refuses %s", async (_, body) => {
    expect((await post(path, body)).status).toBe(422);
  });
});

test("a login checks a password for an unknown email too: it costs the same argon2", async () => {
  const { password, email } = await givenUser(shop);
  // CPU time, and the least of several: what the machine does beside is not in it, what the shop does only adds.
  const costOf = async (pair: { email: string; password: string }) => {
    const start = process.cpuUsage();
    await shop.call("users.checkPassword", pair);
    const { user, system } = process.cpuUsage(start);
    return user + system;
  };
  const known: number[] = [];
  const unknown: number[] = [];
  for (let n = 0; n < 5; n++) {
    known.push(await costOf({ email, password: `${password}!` }));
    unknown.push(await costOf({ email: newEmail(), password }));
  }
  expect(Math.min(...unknown)).toBeGreaterThan(Math.min(...known) / 2);
  expect(Math.min(...known)).toBeGreaterThan(Math.min(...unknown) / 2);
});

describe("a guest's cart", () => {
  const CART = "guest-cart-token-0123456789";

  test("joins the user's at registration and at login", async () => {
    const account = registration();
    const registered = await post("/auth/register", account, { headers: { "x-cart-token": CART } });
    const { email, password } = account;
    await post("/auth/login", { email, password }, { headers: { "x-cart-token": CART } });
    const user_id = String(registered.at("user", "id"));
    expect(merges.filter((merge) => merge.user_id === user_id)).toEqual([
      { user_id, cart_token: CART },
      { user_id, cart_token: CART },
    ]);
  });

  test("is not asked for without a token, nor by a login that fails", async () => {
    const user = await givenUser(shop);
    const { email } = user;
    await post("/auth/login", { email, password: "wrong-password" }, { headers: { "x-cart-token": CART } });
    expect(merges.filter((merge) => merge.user_id === user.id)).toEqual([]);
  });

  test("that can't be merged keeps nobody from logging in", async () => {
    const { email, password } = await givenUser(shop);
    const answer = await post(
      "/auth/login",
      { email, password },
      { headers: { "x-cart-token": BROKEN_CART } },
    );
    expect(answer.status).toBe(200);
  });
});
