import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { InvalidCredentials, InvalidToken } from "../../lib/errors.ts";
import { authContract, type Principal } from "../../services/auth/auth.contract.ts";
import { ordersContract } from "../../services/orders/orders.contract.ts";
import { productsContract } from "../../services/products/products.contract.ts";
import { send } from "../helpers/client.ts";
import { fakeService } from "../helpers/fakes.ts";
import { RawClient } from "../helpers/raw-http.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const USERS = ["01936f6e-2f7a-7cc3-98a4-000000000001", "01936f6e-2f7a-7cc3-98a4-000000000002"];
const [USER = "", OTHER = ""] = USERS;
let guesses = 0;

const replace = {
  auth: fakeService(authContract, {
    resolve: async (ctx): Promise<Principal | null> => {
      const { token } = ctx.params;
      return USERS.includes(token) ? { id: token, role: "customer", session_id: token } : null;
    },
    refresh: async () => {
      throw new InvalidToken({});
    },
    login: async (ctx) => {
      guesses += 1;
      const { email, password } = ctx.params;
      if (password !== "right") throw new InvalidCredentials({});
      const at = "2026-01-01T00:00:00.000Z";
      const names = { name: "A B", first_name: "A", last_name: "B", phone: null };
      const state = { role: "customer" as const, is_active: true, created_at: at, updated_at: at };
      return {
        message: "Hello.",
        user: { id: USER, email, ...names, ...state },
        access_token: "a",
        refresh_token: "r",
        token_type: "Bearer" as const,
        expires_in: 900,
      };
    },
  }),
  products: fakeService(productsContract, { categories: async () => ({ categories: [] }) }),
  orders: fakeService(ordersContract, {}),
};

/** Read 24, write 5, checkout and auth 1 a minute. */
const FACTOR = "0.004";
let limited: Shop;
let usual: Shop;
let untrusting: Shop;

beforeAll(async () => {
  [limited, usual, untrusting] = await Promise.all([
    startShop({ env: { RATE_LIMIT: FACTOR, TRUST_PROXY: "true" }, replace }),
    startShop({ env: { RATE_LIMIT: "on", TRUST_PROXY: "true" }, replace }),
    startShop({ env: { RATE_LIMIT: FACTOR }, replace }),
  ]);
});
afterAll(async () => {
  await Promise.all([limited, usual, untrusting].map((shop) => shop?.stop()));
});

let clients = 0;
/** An address that no other test has. */
const newIp = () => {
  clients += 1;
  return `203.0.113.${clients}`;
};

const ask = (shop: Shop, ip: string, method: string, path: string, token?: string, body?: object) =>
  send(shop, method, path, body, { token, headers: { "x-forwarded-for": ip } });

describe("a client that asks too often", () => {
  const CLASSES: [string, string, string, number][] = [
    ["read", "GET", "/api/categories", 24],
    ["read: what isn't there", "GET", "/api/nothing", 24],
    ["read: another method", "PATCH", "/api/categories", 24],
    ["read: a preflight", "OPTIONS", "/api/categories", 24],
    ["read: the documentation", "GET", "/api/docs", 24],
    ["write", "POST", "/api/cart/validate", 5],
    ["checkout", "POST", "/api/orders", 1],
    ["auth", "POST", "/api/auth/refresh", 1],
  ];

  it.each(CLASSES)("is told to wait: %s", async (_class, method, path, allowed) => {
    const body = path.endsWith("/refresh") ? { refresh_token: "x" } : undefined;
    const ip = newIp();
    for (let i = 0; i < allowed; i++) {
      expect((await ask(limited, ip, method, path, undefined, body)).status).not.toBe(429);
    }
    const refused = await ask(limited, ip, method, path, undefined, body);
    expect([refused.status, refused.body.code]).toEqual([429, "RATE_LIMITED"]);
    const wait = Number(refused.headers.get("retry-after"));
    expect(wait).toBeGreaterThanOrEqual(1);
    expect(wait).toBeLessThanOrEqual(60);
    expect(refused.at("details", "retry_after")).toBe(wait);
    expect((await ask(limited, newIp(), method, path, undefined, body)).status).not.toBe(429);
    expect((await ask(limited, ip, "GET", "/health/live")).status).toBe(200);
  });

  it("is the user, once one is logged in, wherever they come from", async () => {
    const ip = newIp();
    for (let i = 0; i < 24; i++) await ask(limited, ip, "GET", "/api/categories", USER);
    expect((await ask(limited, ip, "GET", "/api/categories", USER)).status).toBe(429);
    expect((await ask(limited, newIp(), "GET", "/api/categories", USER)).status).toBe(429);
    expect((await ask(limited, ip, "GET", "/api/categories", OTHER)).status).toBe(200);
    expect((await ask(limited, ip, "GET", "/api/categories")).status).toBe(200);
  });

  it("is the address, if the token is no good", async () => {
    const ip = newIp();
    for (let i = 0; i < 24; i++)
      expect((await ask(limited, ip, "GET", "/api/categories", `bad-${i}`)).status).toBe(401);
    expect((await ask(limited, ip, "GET", "/api/categories", "bad")).status).toBe(429);
    expect((await ask(limited, ip, "GET", "/api/categories", OTHER)).status).toBe(200);
  });

  it("is answered before its body is read", async () => {
    const ip = newIp();
    const head = (path: string, length: number) =>
      `POST ${path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${ip}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
    for (let i = 0; i < 5; i++) await ask(limited, ip, "POST", "/api/cart/validate");
    const client = new RawClient(limited.url);
    await client.write(head("/api/cart/items", 500));
    expect((await client.answer()).status).toBe(429);
    client.end();
  });

  it("can't pass for many by a header, unless a proxy is trusted", async () => {
    for (let i = 0; i < 24; i++) await ask(untrusting, newIp(), "GET", "/api/categories");
    expect((await ask(untrusting, newIp(), "GET", "/api/categories")).status).toBe(429);
    const ip = newIp();
    for (let i = 0; i < 24; i++) await ask(limited, `${newIp()}, ${ip}`, "GET", "/api/categories");
    expect((await ask(limited, `${newIp()}, ${ip}`, "GET", "/api/categories")).status).toBe(429);
  });
});

describe("limits as they are by default", () => {
  it("don't get into anyone's way", async () => {
    const ip = newIp();
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => ask(usual, ip, "GET", "/api/categories")),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  });
});

describe("failed logins", () => {
  const login = (ip: string, email: string, password: string, path = "/api/auth/login") =>
    ask(usual, ip, "POST", path, undefined, { email, password });

  it("are ten in five minutes for an account from an address, whichever way they come", async () => {
    const [ip, email] = [newIp(), "ada@example.com"];
    for (let i = 0; i < 10; i++) {
      const path = i % 2 === 0 ? "/api/auth/login" : "/api/users/login";
      expect((await login(ip, i % 3 === 0 ? "ADA@example.com" : email, "wrong", path)).status).toBe(401);
    }
    const refused = await login(ip, email, "right");
    expect([refused.status, refused.body.code]).toEqual([429, "RATE_LIMITED"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(60);
    expect((await login(ip, "bob@example.com", "right")).status).toBe(200);
    expect((await login(newIp(), email, "right")).status).toBe(200);
  });

  it("are forgotten at a success", async () => {
    const [ip, email] = [newIp(), "eve@example.com"];
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 9; i++) expect((await login(ip, email, "wrong")).status).toBe(401);
      expect((await login(ip, email, "right")).status).toBe(200);
    }
  });

  it("are ten too when they come all at once", async () => {
    const [ip, email] = [newIp(), "burst@example.com"];
    const before = guesses;
    const answers = await Promise.all(Array.from({ length: 40 }, () => login(ip, email, "wrong")));
    expect(guesses - before).toBe(10);
    expect(answers.map(({ status }) => status).sort()).toEqual([
      ...Array.from({ length: 10 }, () => 401),
      ...Array.from({ length: 30 }, () => 429),
    ]);
  });

  it("are not what forty right ones at once are taken for", async () => {
    const [ip, email] = [newIp(), "tabs@example.com"];
    const answers = await Promise.all(Array.from({ length: 40 }, () => login(ip, email, "right")));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  });
});
