import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { sequelizeOf } from "../../lib/stores/connect.ts";
import { Database, isUniqueViolation } from "../../lib/stores/database.ts";
import { createDatabase } from "../helpers/shop.ts";

let db: Database;
beforeAll(async () => {
  db = new Database(sequelizeOf(await createDatabase(), { DATABASE_POOL: 2, DATABASE_TIMEOUT: 10_000 }));
  await db.rows("CREATE TABLE things (id integer PRIMARY KEY, name text)");
  await db.rows("INSERT INTO things VALUES (1, 'one')");
});
afterAll(async () => {
  await db.sequelize.close();
});

const all = "SELECT * FROM things ORDER BY id";
const preparedHere = "SELECT count(*)::integer AS count FROM pg_prepared_statements WHERE statement = $1";

describe("statements", () => {
  it("are prepared once and used again", async () => {
    await db.transaction(async (tx) => {
      await db.rows(all, [], tx);
      await db.rows(all, [], tx);
      expect(await db.one(preparedHere, [all], tx)).toEqual({ count: 1 });
    });
  });

  it("outlive a migration that adds a column, alone and in a transaction", async () => {
    // Each of the pool's connections has it prepared.
    await Promise.all([db.rows(all), db.rows(all)]);
    await db.rows("ALTER TABLE things ADD COLUMN price integer DEFAULT 5");
    expect(await db.rows(all)).toEqual([{ id: 1, name: "one", price: 5 }]);

    await Promise.all([db.rows(all), db.rows(all)]);
    await db.rows("ALTER TABLE things ADD COLUMN stock integer DEFAULT 7");
    const seen = await db.transaction(async (tx) => await db.rows(all, [], tx));
    expect(seen).toEqual([{ id: 1, name: "one", price: 5, stock: 7 }]);
  });

  it("give their connection back when Postgres refuses, and keep what it said", async () => {
    for (let i = 0; i < 5; i++) {
      const refused = await db
        .rows("INSERT INTO things (id) VALUES ($1)", [1])
        .catch((error: unknown) => error);
      expect(isUniqueViolation(refused, "things_pkey")).toBe(true);
    }
    expect(await db.one("SELECT 1 AS answer")).toEqual({ answer: 1 });
  });

  it("take a new connection for one that broke", async () => {
    const cut = db.rows("SELECT pg_terminate_backend(pg_backend_pid())").catch(() => "cut");
    expect(await cut).toBe("cut");
    expect(await db.one("SELECT 1 AS answer")).toEqual({ answer: 1 });
  });
});
