import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { ServiceSchema } from "moleculer";
import { Unavailable } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { adminToken, givenUser, send, type TestUser } from "../helpers/client.ts";
import { ADMIN } from "../helpers/env.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
});
afterAll(() => shop.stop());

const users = (method: string, path: string, body?: object, token = admin) =>
  send(shop, method, `/api/users${path}`, body, { token });
const list = (query: Record<string, string | number | boolean>) => {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) search.set(key, String(value));
  return users("GET", `?${search}`);
};
const verify = (token: string) => send(shop, "GET", "/api/auth/verify", undefined, { token });

/** Makes a user with these names. @returns its id */
async function givenNamed(first_name: string, last_name: string, email = `user-${newId()}@example.com`) {
  const fields = { email, password: "a-good-password", first_name, last_name };
  const answer = await send(shop, "POST", "/api/auth/register", fields);
  expect(answer.status).toBe(201);
  return String(answer.at("user", "id"));
}

/** A token of a user who was made an admin, and their id. */
async function givenAdmin(): Promise<TestUser> {
  const user = await givenUser(shop);
  expect((await users("PUT", `/${user.id}`, { role: "admin" })).status).toBe(200);
  const { email, password } = user;
  const login = await send(shop, "POST", "/api/auth/login", { email, password });
  return { ...user, token: String(login.at("access_token")) };
}

function idsOf(found: unknown): unknown[] {
  if (!Array.isArray(found)) throw new Error("There is no list of users.");
  return found.map((user: unknown) =>
    typeof user === "object" && user !== null && "id" in user ? user.id : undefined,
  );
}

describe("GET /users", () => {
  test("lists the newest first, in pages that don't overlap", async () => {
    const mark = newId().slice(-12);
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.unshift(await givenNamed("Page", mark));
    const first = await list({ search: mark, limit: 2 });
    expect(first.status).toBe(200);
    expect(first.at("pagination")).toEqual({ page: 1, limit: 2, total: 5, pages: 3 });
    const second = await list({ search: mark, per_page: 2, page: 2 });
    const third = await list({ search: mark, limit: 2, page: 3 });
    const pages = [first, second, third].flatMap((answer) => idsOf(answer.at("users")));
    expect(pages).toEqual(ids);
    const beyond = await list({ search: mark, limit: 2, page: 4 });
    expect(beyond.body).toEqual({ users: [], pagination: { page: 4, limit: 2, total: 5, pages: 3 } });
  });

  test("shows no hash", async () => {
    expect(JSON.stringify((await list({})).body)).not.toMatch(/password|argon2/);
  });

  test("searches emails and names in any case, also across the two names", async () => {
    const mark = newId().slice(-12);
    const id = await givenNamed(`Gräfin${mark}`, "O'Brien", `${mark}.x@example.com`);
    for (const search of [
      mark.toUpperCase(),
      `${mark}.X@EXAMPLE`,
      `gräfin${mark} o'br`,
      `GRÄFIN${mark}`,
      ` ${mark} `,
    ])
      expect([search, idsOf((await list({ search })).at("users"))]).toEqual([search, [id]]);
  });

  test("takes %, _ and \\ as they are", async () => {
    const mark = newId().slice(-12);
    const id = await givenNamed(`100%_${mark}\\`, "Wild");
    await givenNamed(`100xx${mark}x`, "Wild");
    for (const search of [`100%_${mark}`, `${mark}\\`]) {
      expect(idsOf((await list({ search })).at("users"))).toEqual([id]);
    }
    expect((await list({ search: `%${mark}` })).at("users")).toEqual([]);
    expect((await list({ search: "' OR 1=1 --" })).at("users")).toEqual([]);
  });

  test("filters by role and state", async () => {
    const mark = newId().slice(-12);
    const [customer, boss, gone] = [
      await givenNamed("A", mark),
      await givenNamed("B", mark),
      await givenNamed("C", mark),
    ];
    await users("PUT", `/${boss}`, { role: "admin" });
    await users("PUT", `/${gone}`, { is_active: false });
    const found = async (query: object) => idsOf((await list({ search: mark, ...query })).at("users"));
    expect(await found({ role: "admin" })).toEqual([boss]);
    expect(await found({ role: "customer" })).toEqual([gone, customer]);
    expect(await found({ is_active: false })).toEqual([gone]);
    expect(await found({ is_active: true, role: "customer" })).toEqual([customer]);
    expect(await found({ search: "" })).toEqual(expect.arrayContaining([customer, boss, gone]));
  });

  test.each([
    ["role", "owner"],
    ["is_active", "maybe"],
    ["page", "0"],
    ["page", "1000001"],
    ["page", "x"],
    ["limit", "0"],
    ["limit", "101"],
    ["search", "a".repeat(101)],
    ["sort", "password_hash"],
    ["email", "ada@example.com"],
  ])("refuses %s=%s", async (name, value) => {
    const answer = await list({ [name]: value });
    expect([answer.status, answer.at("details", "violations", 0, "path")]).toEqual([422, `/${name}`]);
  });
});

describe("GET /users/:id", () => {
  test("shows one user", async () => {
    const user = await givenUser(shop);
    const answer = await users("GET", `/${user.id}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ id: user.id, email: user.email, role: "customer", is_active: true });
  });

  test.each([
    [newId(), 404],
    ["1", 422],
    ["%27%20OR%201=1", 422],
  ])("%s is refused", async (id, status) => {
    expect((await users("GET", `/${id}`)).status).toBe(status);
  });
});

test("only an admin gets at other users", async () => {
  const user = await givenUser(shop);
  const other = await givenUser(shop);
  for (const [method, path] of [
    ["GET", ""],
    ["GET", `/${other.id}`],
    ["GET", `/${user.id}`],
    ["PUT", `/${other.id}`],
    ["PUT", `/${user.id}`],
  ] as const) {
    const refused = await users(method, path, method === "PUT" ? { role: "admin" } : undefined, user.token);
    expect([refused.status, refused.at("code")]).toEqual([403, "FORBIDDEN"]);
    expect((await send(shop, method, `/api/users${path}`)).status).toBe(401);
  }
});

describe("PUT /users/:id", () => {
  test("changes what is given and nothing else", async () => {
    const user = await givenUser(shop);
    const before = await users("GET", `/${user.id}`);
    const answer = await users("PUT", `/${user.id}`, { first_name: " Grace ", phone: "+1 202 555 0142" });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      ...before.body,
      first_name: "Grace",
      name: "Grace Lovelace",
      phone: "+1 202 555 0142",
      updated_at: expect.any(String),
    });
    expect((await users("GET", `/${user.id}`)).body).toEqual(answer.body);
    expect((await verify(user.token)).status).toBe(200);
  });

  test.each([
    ["/email", { email: "other@example.com" }],
    ["/password", { password: "another-password" }],
    ["/role", { role: "owner" }],
    ["/is_active", { is_active: "no" }],
    ["/first_name", { first_name: "" }],
  ])("refuses %s", async (path, body) => {
    const user = await givenUser(shop);
    const answer = await users("PUT", `/${user.id}`, body);
    expect([answer.status, answer.at("details", "violations", 0, "path")]).toEqual([422, path]);
  });

  test("refuses a user that isn't there", async () => {
    expect((await users("PUT", `/${newId()}`, { is_active: false })).status).toBe(404);
  });

  test("a new role ends the user's sessions: the old token has the old role", async () => {
    const user = await givenUser(shop);
    await users("PUT", `/${user.id}`, { role: "customer", is_active: true });
    expect((await verify(user.token)).status).toBe(200);
    await users("PUT", `/${user.id}`, { role: "admin" });
    expect((await verify(user.token)).status).toBe(401);
    const { email, password } = user;
    const login = await send(shop, "POST", "/api/auth/login", { email, password });
    const token = String(login.at("access_token"));
    expect((await users("GET", "", undefined, token)).status).toBe(200);
    await users("PUT", `/${user.id}`, { role: "customer" });
    expect((await users("GET", "", undefined, token)).status).toBe(401);
  });

  test("an admin can't deactivate or demote themselves", async () => {
    const boss = await givenAdmin();
    for (const body of [{ is_active: false }, { role: "customer" }]) {
      const answer = await users("PUT", `/${boss.id}`, body, boss.token);
      expect([answer.status, answer.at("code")]).toEqual([409, "ADMIN_LOCKOUT"]);
    }
    expect((await users("PUT", `/${boss.id}`, { role: "admin", last_name: "Boss" }, boss.token)).status).toBe(
      200,
    );
    expect((await users("PUT", `/${boss.id}`, { role: "customer" })).status).toBe(200);
  });
});

describe("the last active admin", () => {
  let own: Shop;
  let adminId: string;
  beforeEach(async () => {
    own = await startShop();
    const found = await own.call("users.find", { email: ADMIN.email });
    adminId = found?.id ?? "";
  });
  afterEach(() => own.stop());

  test("can't be deactivated or demoted, whoever asks", async () => {
    const meta = { user: { id: newId(), role: "admin", session_id: newId() } };
    for (const change of [{ is_active: false }, { role: "customer" }]) {
      await expect(
        own.broker.call("users.update", { id: adminId, ...change }, { meta }),
      ).rejects.toMatchObject({ type: "ADMIN_LOCKOUT", code: 409 });
    }
    expect(await own.call("users.find", { id: adminId })).toMatchObject({ role: "admin", is_active: true });
  });

  test("is left when all admins demote each other at once", async () => {
    const ids = [adminId];
    for (let n = 0; n < 3; n++) {
      const account = { email: `boss-${n}@example.com`, password: "a-good-password", name: "The Boss" };
      ids.push((await own.call("users.create", { ...account, role: "admin" })).id);
    }
    // All begin before the first can end anybody's session: as actions, with the rights they were let in with.
    const answers = await Promise.allSettled(
      ids.flatMap((actor) => {
        const meta = { user: { id: actor, role: "admin", session_id: newId() } };
        return ids
          .filter((id) => id !== actor)
          .map((id) => own.broker.call("users.update", { id, role: "customer" }, { meta }));
      }),
    );
    for (const answer of answers) {
      if (answer.status === "rejected") expect(answer.reason).toMatchObject({ type: "ADMIN_LOCKOUT" });
    }
    const left = await Promise.all(ids.map((id) => own.call("users.find", { id })));
    expect(left.filter((user) => user?.role === "admin")).toHaveLength(1);
  });
});

test("a change whose sessions can't be ended is not made", async () => {
  // Auth as it is, but for one action: everything a test does here goes through users.
  const auth = (): ServiceSchema => ({
    name: "auth",
    actions: {
      endSessions() {
        throw new Unavailable({ retry_after: 1 });
      },
    },
  });
  const broken = await startShop({ replace: { auth } });
  try {
    const user = await broken.call("users.create", {
      email: "ada@example.com",
      password: "a-good-password",
      name: "Ada Lovelace",
    });
    const meta = { user: { id: newId(), role: "admin" as const, session_id: newId() } };
    for (const change of [{ is_active: false }, { role: "admin", first_name: "Grace" }]) {
      await expect(
        broken.broker.call("users.update", { id: user.id, ...change }, { meta }),
      ).rejects.toMatchObject({ code: 503 });
    }
    await expect(
      broken.call("users.setPassword", { user_id: user.id, password: "a-new-password" }),
    ).rejects.toMatchObject({ code: 503 });
    expect(await broken.call("users.find", { id: user.id })).toEqual(user);
    const email = user.email;
    expect(await broken.call("users.checkPassword", { email, password: "a-good-password" })).toEqual(user);
    expect(await broken.call("users.checkPassword", { email, password: "a-new-password" })).toBeNull();
  } finally {
    await broken.stop();
  }
});
