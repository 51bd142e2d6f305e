import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type Sequelize,
} from "sequelize";
import type { Address, User } from "./users.contract.ts";

/** A row of users.users. */
export interface UserModel extends Model<InferAttributes<UserModel>, InferCreationAttributes<UserModel>> {
  id: string;
  /** Normalised: see {@link normaliseEmail}. */
  email: string;
  password_hash: string;
  first_name: string;
  /** Empty for who has one name only. */
  last_name: string;
  phone: string | null;
  role: User["role"];
  is_active: CreationOptional<boolean>;
  created_at: CreationOptional<Date>;
  updated_at: CreationOptional<Date>;
}
export type UserRow = InferAttributes<UserModel>;

/** A row of users.addresses. */
export interface AddressModel
  extends Model<InferAttributes<AddressModel>, InferCreationAttributes<AddressModel>> {
  id: string;
  user_id: string;
  street_address: string;
  city: string;
  state: string | null;
  postal_code: string;
  country: string;
  /** At most one a user, by a partial unique index. */
  is_default: boolean;
  created_at: CreationOptional<Date>;
  updated_at: CreationOptional<Date>;
}

export function defineModels(sequelize: Sequelize) {
  const main = sequelize.define<UserModel>(
    "User",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      email: DataTypes.TEXT,
      password_hash: DataTypes.TEXT,
      first_name: DataTypes.TEXT,
      last_name: DataTypes.TEXT,
      phone: DataTypes.TEXT,
      role: DataTypes.TEXT,
      is_active: DataTypes.BOOLEAN,
      created_at: DataTypes.DATE,
      updated_at: DataTypes.DATE,
    },
    { schema: "users", tableName: "users", timestamps: false },
  );
  const addresses = sequelize.define<AddressModel>(
    "Address",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      user_id: DataTypes.UUID,
      street_address: DataTypes.TEXT,
      city: DataTypes.TEXT,
      state: DataTypes.TEXT,
      postal_code: DataTypes.TEXT,
      country: DataTypes.TEXT,
      is_default: DataTypes.BOOLEAN,
      created_at: { type: DataTypes.DATE, defaultValue: DataTypes.NOW },
      updated_at: { type: DataTypes.DATE, defaultValue: DataTypes.NOW },
    },
    { schema: "users", tableName: "addresses", timestamps: false },
  );
  return { main, addresses };
}
export type Models = ReturnType<typeof defineModels>;

/** A row as the shop shows it: never its password's hash. */
export function toUser(row: UserRow): User {
  return {
    id: row.id,
    email: row.email,
    name: `${row.first_name} ${row.last_name}`.trim(),
    first_name: row.first_name,
    last_name: row.last_name,
    phone: row.phone,
    role: row.role,
    is_active: row.is_active,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

export function toAddress(row: InferAttributes<AddressModel>): Address {
  return {
    id: row.id,
    street_address: row.street_address,
    city: row.city,
    state: row.state,
    postal_code: row.postal_code,
    country: row.country,
    is_default: row.is_default,
  };
}
