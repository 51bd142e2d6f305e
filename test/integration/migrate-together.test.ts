import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import pg from "pg";
import { loadConfig } from "../../lib/config.ts";
import { poolOf, sequelizeOf } from "../../lib/stores/connect.ts";
import { Database } from "../../lib/stores/database.ts";
import { Jobs } from "../../lib/stores/jobs.ts";
import { type Migration, migrate } from "../../lib/stores/migrate.ts";
import { PostgresKeyValue } from "../../lib/stores/postgres-key-value.ts";
import { migrations as inventory } from "../../services/inventory/migrations/index.ts";
import { migrations as orders } from "../../services/orders/migrations/index.ts";
import { migrations as payments } from "../../services/payments/migrations/index.ts";
import { migrations as products } from "../../services/products/migrations/index.ts";
import { migrations as users } from "../../services/users/migrations/index.ts";
import { eventually } from "../helpers/client.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";

/** Nodes that start at once on a database that has nothing: each thing is made once, and nobody fails. */

const NODES = 8;
const SCHEMAS: Record<string, readonly Migration[]> = { users, products, inventory, orders, payments };

let url: string;
let client: pg.Client;

beforeAll(async () => {
  const server = new URL(process.env.TEST_DATABASE_URL ?? "");
  const name = `empty_${randomBytes(6).toString("hex")}`;
  const admin = new pg.Client({ connectionString: server.href });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`);
  await admin.end();
  server.pathname = `/${name}`;
  url = server.href;
  client = new pg.Client({ connectionString: url });
  await client.connect();
});
afterAll(async () => await client?.end());

/** All that a node makes in its database before it takes requests. @returns the migrations it applied, and its errors */
async function startNode() {
  const config = loadConfig({ ...TEST_ENV }, { databaseUrl: url, secrets: SECRETS });
  const own = Object.entries(SCHEMAS).map(([schema, list]) => ({
    sequelize: sequelizeOf(url, config),
    schema,
    list,
  }));
  const errors: Error[] = [];
  const jobs = new Jobs({ url, pollSeconds: 30, timeout: 30_000, onError: (error) => errors.push(error) });
  const kv = new PostgresKeyValue(poolOf(url, { ...config, DATABASE_POOL: 2 }));
  try {
    const [, , ...applied] = await Promise.all([
      jobs.queue({ name: "work", deadLetter: "work-dead", retryLimit: 3 }),
      kv.ping(),
      ...own.map(({ sequelize, schema, list }) => migrate(new Database(sequelize), schema, list)),
    ]);
    return { applied: applied.flat(), errors };
  } finally {
    await Promise.all([jobs.stop(), kv.close(), ...own.map(({ sequelize }) => sequelize.close())]);
  }
}

describe(`${NODES} nodes that start at once on an empty database`, () => {
  it("apply each migration once, and all find everything made", async () => {
    const nodes = await Promise.all(Array.from({ length: NODES }, startNode));
    expect(nodes.flatMap(({ errors }) => errors)).toEqual([]);
    const all = Object.values(SCHEMAS).flatMap((list) => list.map(({ name }) => name));
    expect(nodes.flatMap(({ applied }) => applied).sort()).toEqual(all.sort());
    const { rows } = await client.query<{ found: string }>(
      "SELECT unnest(ARRAY[to_regclass('kv.entries'), to_regclass('pgboss.job'), to_regclass('orders.migrations')])::text AS found",
    );
    expect(rows.map(({ found }) => found)).toEqual(["kv.entries", "pgboss.job", "orders.migrations"]);
    const queues = await client.query("SELECT name FROM pgboss.queue ORDER BY name");
    expect(queues.rows.map(({ name }) => name)).toEqual(expect.arrayContaining(["work", "work-dead"]));
  });

  it("find nothing left to do the next time", async () => {
    expect((await startNode()).applied).toEqual([]);
  });
});

describe("the migration lock", () => {
  it("outlasts the time limits of a session, and a node that waits for it does too", async () => {
    const config = loadConfig({ ...TEST_ENV }, { databaseUrl: url, secrets: SECRETS });
    const limited = new URL(url);
    limited.searchParams.set(
      "options",
      "-c lock_timeout=100 -c statement_timeout=100 -c idle_in_transaction_session_timeout=100",
    );
    const slow: Migration = { name: "0001-slow", up: "SELECT pg_sleep(0.5)", down: "SELECT 1" };
    const nodes = [1, 2].map(() => sequelizeOf(limited.href, config));
    const applied = await Promise.all(
      nodes.map((sequelize) => migrate(new Database(sequelize), "slow", [slow])),
    );
    await Promise.all(nodes.map((sequelize) => sequelize.close()));
    expect(applied.flat()).toEqual(["0001-slow"]);
  });
});

describe("a table that somebody reads for long, as a backup does", () => {
  it("stays open to the shop while its migration waits, which is told, and done when the reader has ended", async () => {
    const config = loadConfig({ ...TEST_ENV }, { databaseUrl: url, secrets: SECRETS });
    const sequelize = sequelizeOf(url, { ...config, DATABASE_TIMEOUT: 0 });
    const db = new Database(sequelize);
    const things: Migration = { name: "0001-things", up: "CREATE TABLE things (id integer)", down: "" };
    const notes: Migration = { name: "0002-notes", up: "ALTER TABLE things ADD COLUMN note text", down: "" };
    await migrate(db, "busy", [things]);
    const reader = new pg.Client({ connectionString: url });
    await reader.connect();
    const told: string[] = [];
    try {
      await reader.query("BEGIN");
      await reader.query("SELECT * FROM busy.things");
      const migrating = migrate(db, "busy", [things, notes], { waits: (name) => told.push(name) });
      await eventually(async () => {
        const { rows } = await client.query(
          "SELECT 1 FROM pg_locks WHERE relation = 'busy.things'::regclass AND NOT granted",
        );
        return rows.length > 0;
      });
      await client.query("SET statement_timeout = '5s'");
      await client.query("SELECT * FROM busy.things");
      await eventually(async () => told.length > 0);
      await reader.query("COMMIT");
      expect(await migrating).toEqual(["0002-notes"]);
      expect(told[0]).toBe("0002-notes");
    } finally {
      await reader.end();
      await sequelize.close();
    }
  });
});

describe("a node that dies when a migration is done and not yet noted", () => {
  it("leaves nothing of it, and the next start does it", async () => {
    const config = loadConfig({ ...TEST_ENV }, { databaseUrl: url, secrets: SECRETS });
    const sequelize = sequelizeOf(url, config);
    const db = new Database(sequelize);
    const things: Migration = { name: "0001-things", up: "CREATE TABLE things (id integer)", down: "" };
    const notes: Migration = { name: "0002-notes", up: "ALTER TABLE things ADD COLUMN note text", down: "" };
    try {
      await migrate(db, "torn", [things]);
      await client.query("ALTER TABLE torn.migrations ADD CONSTRAINT died CHECK (name <> '0002-notes')");
      await expect(migrate(db, "torn", [things, notes])).rejects.toThrow("died");
      await client.query("ALTER TABLE torn.migrations DROP CONSTRAINT died");
      expect(await migrate(db, "torn", [things, notes])).toEqual(["0002-notes"]);
    } finally {
      await sequelize.close();
    }
  });
});
