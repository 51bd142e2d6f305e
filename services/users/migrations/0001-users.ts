import type { Migration } from "../../../lib/stores/migrate.ts";

export const users: Migration = {
  name: "0001-users",
  up: `
    CREATE TABLE users (
      id uuid PRIMARY KEY,
      email text NOT NULL CHECK (char_length(email) BETWEEN 1 AND 254),
      password_hash text NOT NULL,
      first_name text NOT NULL CHECK (char_length(first_name) BETWEEN 1 AND 200),
      last_name text NOT NULL CHECK (char_length(last_name) <= 200),
      phone text CHECK (char_length(phone) <= 31),
      role text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'admin')),
      is_active boolean NOT NULL DEFAULT true,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    -- Emails are stored normalised, so that this makes them unique whatever their case.
    CREATE UNIQUE INDEX users_email ON users (email);
    CREATE INDEX users_newest ON users (created_at DESC, id DESC);
    CREATE INDEX users_active_admins ON users (id) WHERE role = 'admin' AND is_active;

    CREATE TABLE addresses (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      street_address text NOT NULL CHECK (char_length(street_address) BETWEEN 1 AND 200),
      city text NOT NULL CHECK (char_length(city) BETWEEN 1 AND 100),
      state text CHECK (char_length(state) BETWEEN 1 AND 100),
      postal_code text NOT NULL CHECK (char_length(postal_code) BETWEEN 1 AND 20),
      country text NOT NULL CHECK (char_length(country) BETWEEN 1 AND 60),
      is_default boolean NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX addresses_of_user ON addresses (user_id, created_at DESC, id DESC);
    CREATE UNIQUE INDEX addresses_one_default ON addresses (user_id) WHERE is_default;

    -- Which seeds were sown: what was changed or deleted since is not made again.
    CREATE TABLE seeds (
      name text PRIMARY KEY,
      sown_at timestamptz NOT NULL DEFAULT now()
    );`,
  down: `
    DROP TABLE seeds;
    DROP TABLE addresses;
    DROP TABLE users;`,
};
