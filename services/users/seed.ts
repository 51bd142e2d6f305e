import { readFile } from "node:fs/promises";
import Type from "typebox";
import { Parse } from "typebox/value";
import { newId } from "../../lib/ids.ts";
import { Email, Obj, Phone, Text } from "../../lib/schema.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { Accounts } from "./accounts.ts";
import { insertAddress } from "./addresses.ts";
import { normaliseEmail } from "./identity.ts";
import { AddressInput, Password } from "./users.contract.ts";
import type { UserRow } from "./users.model.ts";

const DEMO_USERS = new URL("../../data/demo-users.json", import.meta.url);
const DemoUsers = Type.Array(
  Obj({
    email: Email(),
    password: Password(),
    first_name: Text(100),
    last_name: Text(100),
    phone: Phone(),
    address: AddressInput,
  }),
);

type Seeded = Pick<UserRow, "email" | "password_hash" | "first_name" | "last_name" | "phone" | "role">;

/**
 * Makes the first admin if nobody has that email. An account that is there is left as it is: promoting it would hand
 * the shop to whoever registered the address first.
 * @returns whether the email is now an active admin's
 */
export async function ensureAdmin(
  { db, models, passwords }: Accounts,
  given: string,
  password: string,
): Promise<boolean> {
  const email = normaliseEmail(given);
  if ((await models.main.count({ where: { email } })) === 0) {
    const password_hash = await passwords.hash(password);
    await db.transaction((tx) =>
      insertIfAbsent(
        db,
        { email, password_hash, first_name: "Shop", last_name: "Admin", phone: null, role: "admin" },
        tx,
      ),
    );
  }
  return (await models.main.count({ where: { email, role: "admin", is_active: true } })) === 1;
}

/** Makes the demo customers, once in a database's life: one that was changed or deleted since is not made again. */
export async function seedDemoUsers({ db, models, passwords }: Accounts): Promise<void> {
  if (await db.one("SELECT name FROM users.seeds WHERE name = 'demo-users'")) return;
  const demo = Parse(DemoUsers, JSON.parse(await readFile(DEMO_USERS, "utf8")));
  const hashed = await Promise.all(
    demo.map(async (user) => ({ ...user, password_hash: await passwords.hash(user.password) })),
  );
  await db.transaction(async (tx) => {
    // A second node waits here for the first, and then has nothing to do.
    const marker = await db.one(
      "INSERT INTO users.seeds (name) VALUES ('demo-users') ON CONFLICT DO NOTHING RETURNING name",
      [],
      tx,
    );
    if (!marker) return;
    for (const { address, password: _, ...fields } of hashed) {
      const id = await insertIfAbsent(
        db,
        { ...fields, email: normaliseEmail(fields.email), role: "customer" },
        tx,
      );
      if (id !== undefined) await insertAddress(models, id, address, true, tx);
    }
  });
}

/** @returns the new user's id; undefined if the email is taken */
async function insertIfAbsent(db: Database, user: Seeded, tx: Tx): Promise<string | undefined> {
  const row = await db.one<{ id: string }>(
    `INSERT INTO users.users (id, email, password_hash, first_name, last_name, phone, role)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email) DO NOTHING RETURNING id`,
    [newId(), user.email, user.password_hash, user.first_name, user.last_name, user.phone, user.role],
    tx,
  );
  return row?.id;
}
