import { AdminLockout, EmailTaken, NotFound } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { type Database, isUniqueViolation, type Tx } from "../../lib/stores/database.ts";
import type { JobsThis } from "../../mixins/jobs.ts";
import {
  givenNames,
  type NameInput,
  type Names,
  newEmail,
  normaliseEmail,
  requiredNames,
} from "./identity.ts";
import { checkRules, isOutdated, type Passwords } from "./passwords.ts";
import type { User } from "./users.contract.ts";
import { type Models, toUser, type UserRow } from "./users.model.ts";

/** What the accounts' functions work on. */
export interface Accounts {
  db: Database;
  models: Models;
  passwords: Passwords;
  /** `PASSWORD_REQUIRE` */
  rules: readonly string[];
}

export interface NewAccount extends NameInput {
  email: string;
  password: string;
  phone?: string;
  role?: User["role"];
}

/** Ends every session of a user; throws if it can't tell that they ended. */
export type EndSessions = (userId: string) => Promise<unknown>;

/** Makes an account and publishes `user.registered`. @throws EmailTaken, ValidationFailed, Unavailable */
export async function createAccount(
  { db, models, passwords, rules }: Accounts,
  publish: JobsThis["publish"],
  input: NewAccount,
): Promise<User> {
  const email = newEmail(input.email);
  const names = requiredNames(input);
  checkRules(input.password, rules);
  // Only spares the hashing: the index decides.
  if ((await models.main.count({ where: { email } })) > 0) throw new EmailTaken({});
  const password_hash = await passwords.hash(input.password);
  const { phone = null, role = "customer" } = input;
  try {
    return await db.transaction(async (tx) => {
      const user = await insertUser(models, { email, password_hash, ...names, phone, role }, tx);
      await publish(tx, "user.registered", { user_id: user.id, first_name: user.first_name });
      return user;
    });
  } catch (error) {
    if (isUniqueViolation(error, "users_email")) throw new EmailTaken({});
    throw error;
  }
}

type NewUser = Pick<UserRow, "email" | "password_hash" | "phone" | "role"> & Names;

async function insertUser(models: Models, fields: NewUser, transaction: Tx): Promise<User> {
  const now = new Date();
  const row = { id: newId(), ...fields, is_active: true, created_at: now, updated_at: now };
  return toUser(await models.main.create(row, { transaction }));
}

/**
 * The active user of this email and password, or null. Whether the email is known, and whether the account is active,
 * can't be told from the time it takes.
 * @throws Unavailable
 */
export async function checkPassword(
  { db, passwords }: Pick<Accounts, "db" | "passwords">,
  email: string,
  password: string,
): Promise<User | null> {
  // FOR SHARE waits for a change under way: auth, which looked at the user's revocation before, can rely on this row.
  const row = await db.one<UserRow>("SELECT * FROM users.users WHERE email = $1 FOR SHARE", [
    normaliseEmail(email),
  ]);
  const matches = await passwords.verify(row?.password_hash, password);
  if (!row || !matches || !row.is_active) return null;
  if (isOutdated(row.password_hash)) {
    const renewed = await passwords.hash(password);
    // Unless it was replaced meanwhile.
    await db.rows("UPDATE users.users SET password_hash = $2 WHERE id = $1 AND password_hash = $3", [
      row.id,
      renewed,
      row.password_hash,
    ]);
  }
  return toUser(row);
}

/**
 * Replaces a password and ends the user's sessions: both, or neither.
 * @throws NotFound, ValidationFailed, Unavailable
 */
export async function setPassword(
  { db, passwords, rules }: Accounts,
  endSessions: EndSessions,
  userId: string,
  password: string,
): Promise<void> {
  checkRules(password, rules);
  const password_hash = await passwords.hash(password);
  await db.transaction(async (tx) => {
    const row = await db.one(
      "UPDATE users.users SET password_hash = $2, updated_at = now() WHERE id = $1 RETURNING id",
      [userId, password_hash],
      tx,
    );
    if (!row) throw new NotFound({ what: "user", id: userId });
    await endSessions(userId);
  });
}

/** The user of this id or email (of both, if both are given), or null. */
export async function findUser(db: Database, by: { id?: string; email?: string }): Promise<User | null> {
  const { id } = by;
  const email = by.email === undefined ? undefined : normaliseEmail(by.email);
  if (id === undefined && email === undefined) return null;
  const [column, value] = id === undefined ? ["email", email] : ["id", id];
  const row = await db.one<UserRow>(`SELECT * FROM users.users WHERE ${column} = $1`, [value]);
  return row === undefined || (email !== undefined && row.email !== email) ? null : toUser(row);
}

/** @throws NotFound */
export async function getUser(db: Database, id: string): Promise<User> {
  const user = await findUser(db, { id });
  if (!user) throw new NotFound({ what: "user", id });
  return user;
}

type Changes = Partial<Pick<UserRow, "first_name" | "last_name" | "phone" | "role" | "is_active">>;

async function writeChanges(models: Models, id: string, changes: Changes, tx?: Tx): Promise<void> {
  const [changed] = await models.main.update(
    { ...changes, updated_at: new Date() },
    { where: { id }, ...(tx ? { transaction: tx } : {}) },
  );
  if (changed === 0) throw new NotFound({ what: "user", id });
}

/** Changes names and phone; what isn't given stays. @throws NotFound */
export async function updateProfile(
  models: Models,
  id: string,
  { phone, ...names }: NameInput & { phone?: string | null },
): Promise<void> {
  await writeChanges(models, id, { ...givenNames(names), ...(phone === undefined ? {} : { phone }) });
}

export interface AdminChanges {
  first_name?: string;
  last_name?: string;
  phone?: string | null;
  role?: User["role"];
  is_active?: boolean;
}

/**
 * An admin's change of an account. Deactivating it or changing its role ends the user's sessions: both, or neither.
 * @param actorId the admin; undefined for a service
 * @throws NotFound; AdminLockout if it would take the rights of the actor or of the last active admin
 */
export async function updateAccount(
  { db, models }: Pick<Accounts, "db" | "models">,
  endSessions: EndSessions,
  actorId: string | undefined,
  id: string,
  { role, is_active, phone, ...names }: AdminChanges,
): Promise<User> {
  const demotes = role === "customer" || is_active === false;
  return await db.transaction(async (tx) => {
    // Two admins who demote each other at once must not both succeed: all admins are locked, in one order.
    const locked = await db.rows<Pick<UserRow, "id" | "role" | "is_active">>(
      `SELECT id, role, is_active FROM users.users
       WHERE id = $1 OR ($2::boolean AND role = 'admin' AND is_active)
       ORDER BY id FOR NO KEY UPDATE`,
      [id, demotes],
      tx,
    );
    const before = locked.find((row) => row.id === id);
    if (!before) throw new NotFound({ what: "user", id });
    if (demotes && before.role === "admin" && before.is_active) {
      if (id === actorId || locked.length === 1) throw new AdminLockout({});
    }
    const changes = { ...givenNames(names), phone, role, is_active };
    await writeChanges(models, id, changes, tx);
    const roleChanges = role !== undefined && role !== before.role;
    const stateChanges = is_active === false && before.is_active;
    if (roleChanges || stateChanges) await endSessions(id);
    const row = await models.main.findByPk(id, { transaction: tx, rejectOnEmpty: true });
    return toUser(row);
  });
}
