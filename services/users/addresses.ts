import type { WhereOptions } from "sequelize";
import { NotFound, TooManyAddresses } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { Address } from "./users.contract.ts";
import { type AddressModel, type Models, toAddress } from "./users.model.ts";

const MAX_ADDRESSES = 50;

/** What the addresses' functions work on. */
export interface AddressBook {
  db: Database;
  models: Models;
}

interface AddressFields {
  street_address: string;
  city: string;
  state?: string | null;
  postal_code: string;
  country: string;
}

/** A user's addresses: the default one first, then the oldest. */
export async function listAddresses(models: Models, userId: string): Promise<Address[]> {
  const rows = await models.addresses.findAll({
    where: { user_id: userId },
    order: [
      ["is_default", "DESC"],
      ["created_at", "ASC"],
      ["id", "ASC"],
    ],
  });
  return rows.map(toAddress);
}

/** Adds an address; the first is the default whatever is asked. @throws TooManyAddresses, NotFound */
export async function addAddress(
  { db, models }: AddressBook,
  userId: string,
  { is_default = false, ...fields }: AddressFields & { is_default?: boolean },
): Promise<Address> {
  return await db.transaction(async (tx) => {
    await lockAddresses(db, userId, tx);
    const count = await models.addresses.count({ where: { user_id: userId }, transaction: tx });
    if (count >= MAX_ADDRESSES) throw new TooManyAddresses({ limit: MAX_ADDRESSES });
    const isDefault = is_default || count === 0;
    if (isDefault) await clearDefault(models, userId, tx);
    return await insertAddress(models, userId, fields, isDefault, tx);
  });
}

/** Writes an address of a user whose addresses nobody else changes now. */
export async function insertAddress(
  models: Models,
  userId: string,
  { state = null, ...fields }: AddressFields,
  isDefault: boolean,
  transaction: Tx,
): Promise<Address> {
  const row = { id: newId(), user_id: userId, ...trimmed({ ...fields, state }), is_default: isDefault };
  return toAddress(await models.addresses.create(row, { transaction }));
}

/**
 * Changes an address; what isn't given stays. `is_default: false` hands the default on to the newest other address,
 * if there is one.
 * @throws NotFound, also for an address of somebody else
 */
export async function updateAddress(
  { db, models }: AddressBook,
  userId: string,
  id: string,
  { is_default, ...fields }: Partial<AddressFields> & { is_default?: boolean },
): Promise<Address> {
  return await db.transaction(async (tx) => {
    await lockAddresses(db, userId, tx);
    const row = await models.addresses.findOne({ where: { id, user_id: userId }, transaction: tx });
    if (!row) throw new NotFound({ what: "address", id });
    const hadDefault = row.is_default;
    const heir = hadDefault && is_default === false ? await newestOther(models, userId, id, tx) : undefined;
    if (is_default === true) await clearDefault(models, userId, tx);
    const changes = {
      ...trimmed(fields),
      is_default: is_default === true || (hadDefault && !heir),
      updated_at: new Date(),
    };
    await models.addresses.update(changes, { where: { id }, transaction: tx });
    await heir?.update({ is_default: true }, { transaction: tx });
    return toAddress(await row.reload({ transaction: tx }));
  });
}

/** Removes an address; the newest other becomes the default if this one was. @throws NotFound */
export async function removeAddress({ db, models }: AddressBook, userId: string, id: string): Promise<void> {
  await db.transaction(async (tx) => {
    await lockAddresses(db, userId, tx);
    const row = await models.addresses.findOne({ where: { id, user_id: userId }, transaction: tx });
    if (!row) throw new NotFound({ what: "address", id });
    await row.destroy({ transaction: tx });
    if (!row.is_default) return;
    const heir = await newestOther(models, userId, id, tx);
    await heir?.update({ is_default: true }, { transaction: tx });
  });
}

/** Changes of one user's addresses go one after the other: the default depends on all of them. */
async function lockAddresses(db: Database, userId: string, tx: Tx): Promise<void> {
  const user = await db.one("SELECT id FROM users.users WHERE id = $1 FOR NO KEY UPDATE", [userId], tx);
  if (!user) throw new NotFound({ what: "user", id: userId });
}

async function clearDefault(models: Models, userId: string, transaction: Tx): Promise<void> {
  await models.addresses.update(
    { is_default: false },
    { where: { user_id: userId, is_default: true }, transaction },
  );
}

async function newestOther(
  models: Models,
  userId: string,
  id: string,
  transaction: Tx,
): Promise<AddressModel | undefined> {
  const where: WhereOptions<AddressModel> = { user_id: userId };
  const rows = await models.addresses.findAll({
    where,
    order: [
      ["created_at", "DESC"],
      ["id", "DESC"],
    ],
    limit: 2,
    transaction,
  });
  return rows.find((row) => row.id !== id);
}

function trimmed<F extends Partial<AddressFields>>(fields: F): F {
  const pairs = Object.entries(fields).map(([key, value]) => [key, value?.trim() ?? null]);
  return { ...fields, ...Object.fromEntries(pairs) };
}
