import { describe, expect, it } from "@jest/globals";
import { statementOf } from "../../lib/tracing/statement.ts";

describe("SQL in a span", () => {
  it.each([
    [
      "SELECT * FROM users.users WHERE email = 'ada@example.com'",
      "SELECT * FROM users.users WHERE email = ?",
    ],
    [
      `SELECT "a" FROM "users"."users" AS "User" WHERE "User"."id" = 'x' LIMIT 1;`,
      `SELECT "a" FROM "users"."users" AS "User" WHERE "User"."id" = ? LIMIT ?;`,
    ],
    ["SELECT 'it''s mine', 'b'", "SELECT ?, ?"],
    ["SELECT 'ends with \\', 'secret'", "SELECT ?, ?"],
    ["SELECT E'quoted \\' secret', 'b'", "SELECT ?, ?"],
    ["DO $body$ secret $body$", "DO ?"],
    ["SELECT $1, $2 FROM t2 WHERE a = -1.5 -- secret\n AND b", "SELECT $1, $2 FROM t2 WHERE a = ? AND b"],
    ["SELECT\n  1", "SELECT ?"],
  ])("%s", (sql, text) => {
    expect(statementOf(sql).text).toBe(text);
  });

  it.each([
    ["SELECT * FROM orders.orders o JOIN orders.items i ON true", "SELECT orders.orders"],
    [`INSERT INTO "users"."users" ("id") VALUES ($1)`, "INSERT users.users"],
    ["update inventory.levels SET a = 1", "UPDATE inventory.levels"],
    ["COMMIT;", "COMMIT"],
    [
      "WITH a AS (SELECT * FROM unnest($1) AS u) UPDATE products.products SET b = 1",
      "WITH products.products",
    ],
    ["SELECT set_config('a', 'b', true)", "SELECT"],
  ])("%s is %s", (sql, summary) => {
    expect(statementOf(sql).summary).toBe(summary);
  });
});
