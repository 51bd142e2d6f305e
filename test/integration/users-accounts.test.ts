import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { hash } from "@node-rs/argon2";
import type { Context, ServiceSchema } from "moleculer";
import pg from "pg";
import { newId } from "../../lib/ids.ts";
import { isOutdated } from "../../services/users/passwords.ts";
import { eventually } from "../helpers/client.ts";
import { ADMIN } from "../helpers/env.ts";
import { keepJobs } from "../helpers/kept-jobs.ts";
import { createDatabase, type Shop, startShop } from "../helpers/shop.ts";

/** Who was welcomed: the envelopes of user.registered. */
const welcomed: { event_id: string; data: { user_id: string; first_name: string } }[] = [];
const notifications = (): ServiceSchema => ({
  name: "notifications",
  actions: {
    onUserRegistered(ctx: Context<(typeof welcomed)[number]>) {
      welcomed.push(ctx.params);
      return null;
    },
  },
});

let shop: Shop;
let db: pg.Client;
beforeAll(async () => {
  shop = await startShop({ replace: { notifications } });
  db = new pg.Client({ connectionString: shop.databaseUrl });
  await db.connect();
  await keepJobs(shop.databaseUrl);
});
afterAll(async () => {
  await db.end();
  await shop.stop();
});

const PASSWORD = "a-good-password";
const newAccount = () => ({ email: `user-${newId()}@example.com`, password: PASSWORD, name: "Ada Lovelace" });

describe("user.registered", () => {
  test("is published with the account, and not for one that was refused", async () => {
    const account = newAccount();
    const user = await shop.call("users.create", account);
    await expect(shop.call("users.create", account)).rejects.toMatchObject({ type: "EMAIL_TAKEN" });
    const later = await shop.call("users.create", newAccount());
    for (const { id } of [user, later]) {
      await eventually(async () => welcomed.some(({ data }) => data.user_id === id));
    }
    expect(welcomed.filter(({ data }) => data.user_id === user.id)).toEqual([
      expect.objectContaining({ data: { user_id: user.id, first_name: "Ada" } }),
    ]);
  });

  test("of many at once for one email, one is published", async () => {
    const account = newAccount();
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, () => shop.call("users.create", account)),
    );
    const made = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value.id] : []));
    expect(made).toHaveLength(1);
    const { rows } = await db.query(
      "SELECT count(*)::int AS jobs FROM kept_jobs WHERE name = 'events-notifications' AND data->'envelope'->'data'->>'user_id' = $1",
      made,
    );
    expect(rows).toEqual([{ jobs: 1 }]);
  });
});

describe("users.find", () => {
  test("finds by id and by email, in any case, also who is not active", async () => {
    const user = await shop.call("users.create", newAccount());
    expect(await shop.call("users.find", { id: user.id })).toEqual(user);
    expect(await shop.call("users.find", { email: ` ${user.email.toUpperCase()}` })).toEqual(user);
    expect(await shop.call("users.find", { id: user.id, email: user.email })).toEqual(user);
    expect(await shop.call("users.find", { id: newId(), email: user.email })).toBeNull();
    await db.query("UPDATE users.users SET is_active = false WHERE id = $1", [user.id]);
    expect(await shop.call("users.find", { id: user.id })).toMatchObject({ is_active: false });
  });

  test("finds nobody for nothing", async () => {
    expect(await shop.call("users.find", {})).toBeNull();
  });
});

test("users.count counts", async () => {
  const before = await shop.call("users.count", {});
  await shop.call("users.create", newAccount());
  expect(await shop.call("users.count", {})).toBe(before + 1);
});

describe("users.checkPassword", () => {
  test("gives the user of the pair and null for any other", async () => {
    const user = await shop.call("users.create", newAccount());
    const check = (email: string, password: string) => shop.call("users.checkPassword", { email, password });
    expect(await check(user.email.toUpperCase(), PASSWORD)).toEqual(user);
    expect(await check(user.email, "a-bad-password")).toBeNull();
    expect(await check(`not-${user.email}`, PASSWORD)).toBeNull();
    await db.query("UPDATE users.users SET is_active = false WHERE id = $1", [user.id]);
    expect(await check(user.email, PASSWORD)).toBeNull();
  });

  test("renews a hash of older parameters at the next login", async () => {
    const { id, email } = await shop.call("users.create", newAccount());
    const stored = async () => {
      const { rows } = await db.query("SELECT password_hash FROM users.users WHERE id = $1", [id]);
      return String(rows[0]?.password_hash);
    };
    const old = await hash(PASSWORD, { memoryCost: 8192, timeCost: 1 });
    await db.query("UPDATE users.users SET password_hash = $2 WHERE id = $1", [id, old]);
    expect(await shop.call("users.checkPassword", { email, password: "a-bad-password" })).toBeNull();
    expect(await stored()).toBe(old);
    expect(await shop.call("users.checkPassword", { email, password: PASSWORD })).toMatchObject({ id });
    const renewed = await stored();
    expect(isOutdated(renewed)).toBe(false);
    expect(await shop.call("users.checkPassword", { email, password: PASSWORD })).toMatchObject({ id });
    expect(await stored()).toBe(renewed);
  });

  test("waits for a change of the account that is under way, and goes by it", async () => {
    const { id, email } = await shop.call("users.create", newAccount());
    await db.query("BEGIN");
    await db.query("UPDATE users.users SET is_active = false WHERE id = $1", [id]);
    const answer = shop.call("users.checkPassword", { email, password: PASSWORD });
    await eventually(async () => {
      const { rows } = await db.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return rows.length > 0;
    });
    await db.query("COMMIT");
    expect(await answer).toBeNull();
  });
});

describe("the database itself refuses", () => {
  test.each([
    [
      "a second account of an email",
      "users_email",
      "INSERT INTO users.users SELECT $2, email, password_hash, first_name, last_name, phone, role FROM users.users WHERE id = $1",
    ],
    [
      "a role that isn't one",
      "users_role_check",
      "UPDATE users.users SET role = 'owner' WHERE id IN ($1, $2)",
    ],
    [
      "two default addresses",
      "addresses_one_default",
      "INSERT INTO users.addresses (id, user_id, street_address, city, postal_code, country, is_default) VALUES ($1, $1, 'a', 'b', 'c', 'd', true), ($2, $1, 'a', 'b', 'c', 'd', true)",
    ],
    [
      "an address of nobody",
      "addresses_user_id_fkey",
      "INSERT INTO users.addresses (id, user_id, street_address, city, postal_code, country, is_default) VALUES ($1, $2, 'a', 'b', 'c', 'd', true)",
    ],
  ])("%s", async (_, constraint, statement) => {
    const { id } = await shop.call("users.create", newAccount());
    await expect(db.query(statement, [id, newId()])).rejects.toMatchObject({ constraint });
  });
});

describe("at the start", () => {
  const env = { SEED: "demo" };
  const without: Record<string, () => ServiceSchema> = Object.fromEntries(
    ["products", "inventory", "cart", "orders", "payments", "analytics"].map((name) => [
      name,
      () => ({ name }),
    ]),
  );

  test("two nodes at once make one admin and the demo users, each with an address, once", async () => {
    const databaseUrl = await createDatabase();
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    await client.query("DELETE FROM users.users");
    const nodes = await Promise.all([1, 2].map(() => startShop({ env, replace: without, databaseUrl })));
    const [node] = nodes;
    try {
      const { rows } = await client.query("SELECT email, role FROM users.users ORDER BY email");
      expect(rows).toEqual([
        { email: "ada@example.com", role: "customer" },
        { email: ADMIN.email, role: "admin" },
        { email: "grace@example.com", role: "customer" },
      ]);
      for (const email of ["ada@example.com", "grace@example.com"]) {
        const user = await node?.call("users.checkPassword", { email, password: "demo-password" });
        expect(user).toMatchObject({ email, phone: expect.any(String) });
        const addresses = await client.query("SELECT is_default FROM users.addresses WHERE user_id = $1", [
          user?.id,
        ]);
        expect(addresses.rows).toEqual([{ is_default: true }]);
      }
      expect(await node?.call("users.checkPassword", ADMIN)).toMatchObject({ role: "admin" });
      await client.query("DELETE FROM users.users WHERE email = 'ada@example.com'");
      await client.query(
        "UPDATE users.users SET email = 'hopper@example.com' WHERE email = 'grace@example.com'",
      );
    } finally {
      await Promise.all(nodes.map((one) => one.stop()));
    }

    const again = await startShop({
      env: { ...env, ADMIN_EMAIL: ADMIN.email.toUpperCase(), ADMIN_PASSWORD: "another-admin-password" },
      replace: without,
      databaseUrl,
    });
    try {
      const { rows } = await client.query("SELECT email FROM users.users ORDER BY email");
      expect(rows).toEqual([{ email: ADMIN.email }, { email: "hopper@example.com" }]);
      const { email } = ADMIN;
      expect(await again.call("users.checkPassword", ADMIN)).toMatchObject({ email });
      const password = "another-admin-password";
      expect(await again.call("users.checkPassword", { email, password })).toBeNull();
    } finally {
      await again.stop();
      await client.end();
    }
  });

  test("nothing is sown with SEED=none, and an account that has the admin's email is not promoted", async () => {
    const { email } = await shop.call("users.create", newAccount());
    const other = await startShop({
      env: { SEED: "none", ADMIN_EMAIL: email, ADMIN_PASSWORD: "an-admin-password" },
      replace: without,
      databaseUrl: shop.databaseUrl,
    });
    try {
      expect(await other.call("users.find", { email: "ada@example.com" })).toBeNull();
      expect(await other.call("users.checkPassword", { email, password: PASSWORD })).toMatchObject({
        role: "customer",
      });
    } finally {
      await other.stop();
    }
  });
});
