import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import { AdminLockout, EmailTaken, NotFound, TooManyAddresses } from "../../lib/errors.ts";
import {
  Email,
  Nullable,
  Obj,
  Pagination,
  Phone,
  pageParams,
  Text,
  Timestamp,
  Uuid,
} from "../../lib/schema.ts";
import { jobActions } from "../../mixins/jobs.contract.ts";

export const Role = Type.Enum(["customer", "admin"]);

export const User = Obj({
  id: Uuid(),
  email: Type.String(),
  name: Type.String(),
  first_name: Type.String(),
  last_name: Type.String(),
  phone: Nullable(Type.String()),
  role: Role,
  is_active: Type.Boolean(),
  created_at: Timestamp(),
  updated_at: Timestamp(),
});
export type User = Static<typeof User>;

const addressFields = {
  street_address: Text(200, "12 Analytical Row"),
  city: Text(100, "London"),
  /** null as in the address book's answers: an address that was read can be sent. */
  state: Type.Optional(Nullable(Text(100, "Greater London"))),
  postal_code: Text(20, "N1 9GU"),
  country: Text(60, "GB"),
};
export const AddressInput = Obj(addressFields);
export const Address = Obj({
  id: Uuid(),
  street_address: Type.String(),
  city: Type.String(),
  state: Nullable(Type.String()),
  postal_code: Type.String(),
  country: Type.String(),
  is_default: Type.Boolean(),
});
export type Address = Static<typeof Address>;

export const Password = () =>
  Type.String({ minLength: 8, maxLength: 128, examples: ["correct horse battery"] });

/** `first_name` and `last_name`, or `name` for the two of them. */
export const registration = {
  email: Email(),
  password: Password(),
  first_name: Type.Optional(Text(100, "Ada")),
  last_name: Type.Optional(Text(100, "Lovelace")),
  name: Type.Optional(Text(200, "Ada Lovelace")),
  phone: Type.Optional(Phone()),
};

const Profile = Obj({ user: User, addresses: Type.Array(Address) });

export const usersContract = contract("users", {
  profile: action({
    summary: "Your account and addresses",
    rest: ["GET /users/profile", "GET /users/me"],
    permissions: ["user"],
    params: Obj({}),
    result: Profile,
  }),
  updateProfile: action({
    summary: "Change your names and phone",
    rest: ["PUT /users/profile", "PUT /users/me"],
    permissions: ["user"],
    params: Obj({
      first_name: Type.Optional(Text(100)),
      last_name: Type.Optional(Text(100)),
      name: Type.Optional(Text(200)),
      phone: Type.Optional(Nullable(Phone())),
    }),
    result: Profile,
  }),
  addresses: action({
    summary: "Your addresses",
    rest: ["GET /users/addresses"],
    permissions: ["user"],
    params: Obj({}),
    result: Obj({ addresses: Type.Array(Address) }),
  }),
  addAddress: action({
    summary: "Add an address; the first is the default",
    rest: ["POST /users/addresses"],
    permissions: ["user"],
    status: 201,
    params: Obj({ ...addressFields, is_default: Type.Optional(Type.Boolean()) }),
    result: Address,
    errors: [TooManyAddresses],
  }),
  updateAddress: action({
    summary: "Change an address",
    rest: ["PUT /users/addresses/:id"],
    permissions: ["user"],
    params: Obj({
      id: Uuid(),
      street_address: Type.Optional(Text(200)),
      city: Type.Optional(Text(100)),
      state: Type.Optional(Nullable(Text(100))),
      postal_code: Type.Optional(Text(20)),
      country: Type.Optional(Text(60)),
      is_default: Type.Optional(Type.Boolean()),
    }),
    result: Address,
    errors: [NotFound],
  }),
  removeAddress: action({
    summary: "Remove an address; another becomes the default",
    rest: ["DELETE /users/addresses/:id"],
    permissions: ["user"],
    status: 204,
    params: Obj({ id: Uuid() }),
    result: Type.Null(),
    errors: [NotFound],
  }),
  list: action({
    summary: "All users, by search, role and state",
    rest: ["GET /users"],
    permissions: ["admin"],
    bulkhead: true,
    params: Obj({
      ...pageParams,
      search: Type.Optional(Type.String({ maxLength: 100 })),
      role: Type.Optional(Role),
      is_active: Type.Optional(Type.Boolean()),
    }),
    result: Obj({ users: Type.Array(User), pagination: Pagination }),
  }),
  get: action({
    summary: "One user",
    rest: ["GET /users/:id"],
    permissions: ["admin"],
    params: Obj({ id: Uuid() }),
    result: User,
    errors: [NotFound],
  }),
  update: action({
    summary: "Change a user's role or state; a deactivated user's sessions end",
    rest: ["PUT /users/:id"],
    permissions: ["admin"],
    params: Obj({
      id: Uuid(),
      first_name: Type.Optional(Text(100)),
      last_name: Type.Optional(Text(100)),
      phone: Type.Optional(Nullable(Phone())),
      role: Type.Optional(Role),
      is_active: Type.Optional(Type.Boolean()),
    }),
    result: User,
    errors: [NotFound, AdminLockout],
  }),
  create: action({
    summary: "Make an account (the password is hashed here)",
    permissions: ["service"],
    params: Obj({ ...registration, role: Type.Optional(Role) }),
    result: User,
    errors: [EmailTaken],
    timeout: 15_000,
  }),
  checkPassword: action({
    summary:
      "The user of this email and password, or null; takes the same time for a known and an unknown email",
    permissions: ["service"],
    params: Obj({ email: Type.String({ maxLength: 254 }), password: Type.String({ maxLength: 1024 }) }),
    result: Nullable(User),
    timeout: 15_000,
  }),
  setPassword: action({
    summary: "Replace a password (after a reset)",
    permissions: ["service"],
    params: Obj({ user_id: Uuid(), password: Password() }),
    result: Type.Null(),
    idempotent: true,
    timeout: 15_000,
  }),
  find: action({
    summary: "A user by id or email, or null",
    permissions: ["service"],
    params: Obj({ id: Type.Optional(Uuid()), email: Type.Optional(Type.String({ maxLength: 254 })) }),
    result: Nullable(User),
    idempotent: true,
  }),
  count: action({
    summary: "How many users there are",
    permissions: ["service"],
    params: Obj({}),
    result: Type.Integer(),
    idempotent: true,
  }),
  ...jobActions,
});
