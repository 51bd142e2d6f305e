import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { assertDeclared } from "./declared.ts";
import { ADMIN } from "./env.ts";
import type { Shop } from "./shop.ts";

// A test reads what the shop answered as any client would: as JSON whose shape it then asserts.
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

export interface Answer {
  status: number;
  headers: Headers;
  /** The parsed body; `{}` if there is none. */
  body: { [key: string]: Json };
  /** The value at a path of the body: `at("items", 0, "quantity")`; undefined if there is none. */
  at: (...path: (string | number)[]) => Json | undefined;
}

export interface RequestOptions {
  token?: string;
  headers?: Record<string, string>;
  /** ms to wait for the answer. */
  timeout?: number;
}

/** Sends a request to a shop. A string body goes as it is, an object as JSON. */
export async function send(
  shop: Pick<Shop, "url">,
  method: string,
  path: string,
  body?: object | string,
  { token, headers = {}, timeout }: RequestOptions = {},
): Promise<Answer> {
  const response = await fetch(`${shop.url}${path}`, {
    method,
    ...(timeout === undefined ? {} : { signal: AbortSignal.timeout(timeout) }),
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = (response.headers.get("content-type") ?? "").startsWith("application/json");
  const parsed: { [key: string]: Json } = text !== "" && isJson ? JSON.parse(text) : {};
  assertDeclared(method, path, response.status, parsed.code);
  return {
    status: response.status,
    headers: response.headers,
    body: parsed,
    at: (...path) => valueAt(parsed, path),
  };
}

function valueAt(value: Json | undefined, path: (string | number)[]): Json | undefined {
  let current = value;
  for (const key of path) {
    if (Array.isArray(current) && typeof key === "number") current = current[key];
    else if (typeof current === "object" && current !== null && !Array.isArray(current))
      current = current[key];
    else return undefined;
  }
  return current;
}

export interface TestUser {
  id: string;
  email: string;
  password: string;
  token: string;
  refreshToken: string;
}

/** Registers a customer over REST. */
export async function givenUser(shop: Pick<Shop, "url">): Promise<TestUser> {
  const email = `user-${randomBytes(6).toString("hex")}@example.com`;
  const password = "a-good-password";
  const answer = await send(shop, "POST", "/api/auth/register", {
    email,
    password,
    first_name: "Ada",
    last_name: "Lovelace",
  });
  if (answer.status !== 201)
    throw new Error(`register answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return {
    id: String(answer.at("user", "id")),
    email,
    password,
    token: String(answer.at("access_token")),
    refreshToken: String(answer.at("refresh_token")),
  };
}

/** An access token of the shop's admin. */
export async function adminToken(shop: Pick<Shop, "url">): Promise<string> {
  const answer = await send(shop, "POST", "/api/auth/login", ADMIN);
  if (answer.status !== 200)
    throw new Error(`login answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return String(answer.at("access_token"));
}

/** Adds a product over REST. @returns its id */
export async function givenProduct(
  shop: Pick<Shop, "url">,
  token: string,
  fields: {
    name?: string;
    price?: number;
    stock_quantity?: number;
    sku?: string;
    currency?: string;
    category_id?: number;
  } = {},
): Promise<number> {
  const product = { name: "Coffee maker", price: 29.99, stock_quantity: 10, ...fields };
  const answer = await send(shop, "POST", "/api/products", product, { token });
  if (answer.status !== 201)
    throw new Error(`POST /products answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return Number(answer.at("id"));
}

/** ms between two looks of {@link eventually}: a busy loop would take the cores from those whose work it waits for. */
const LOOK_EVERY = 10;

/**
 * Waits until `check` gives a value that is neither undefined nor false: for what happens behind an answer (a job, an
 * event). Fails after `timeout` ms.
 */
export async function eventually<T>(
  check: () => Promise<T | undefined | false>,
  timeout = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`It did not happen within ${timeout} ms.`);
    await delay(LOOK_EVERY);
  }
}

/**
 * Waits until no order is under way and every invariant holds.
 * @param token an admin's
 * @throws with the last report
 */
export async function clean(shop: Pick<Shop, "url">, token: string, timeout = 60_000): Promise<void> {
  let last = "";
  await eventually(async () => {
    const answer = await send(shop, "GET", "/api/admin/verify", undefined, { token });
    last = JSON.stringify(answer.body);
    return answer.at("ok") === true && !last.includes("under way");
  }, timeout).catch((error: unknown) => {
    throw new Error(`${error} ${last}`);
  });
}
