import { beforeAll, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { migrateDown, migrateStatus, migrateUp } from "../../cli/actions/migrate.ts";
import { SQL_SERVICES, type SqlService } from "../../lib/service-names.ts";
import { migrations } from "../../services/migrations.ts";
import { query } from "../helpers/query.ts";
import { createDatabase } from "../helpers/shop.ts";
import { act } from "./support.ts";

let url: string;
let env: Record<string, string>;
beforeAll(async () => {
  url = await createDatabase();
  env = { DATABASE_URL: url };
});

const sql = <R extends pg.QueryResultRow>(text: string) => query<R>(url, text);

/** Everything that a schema consists of, as Postgres describes it. */
async function shapeOf(schema: string): Promise<unknown> {
  return await sql(`
    SELECT 'column' AS kind, table_name || '.' || column_name AS name,
      concat_ws(' ', data_type, column_default, is_nullable, generation_expression, is_identity) AS what
      FROM information_schema.columns WHERE table_schema = '${schema}'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = '${schema}'
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = '${schema}'::regnamespace
    UNION ALL SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = '${schema}'::regnamespace
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
      WHERE c.relnamespace = '${schema}'::regnamespace AND NOT tgisinternal
    UNION ALL SELECT 'sequence', sequencename, data_type::text FROM pg_sequences WHERE schemaname = '${schema}'
    ORDER BY 1, 2, 3`);
}

const states = async (service: SqlService) => {
  const { json } = await act((io) => migrateStatus({ service, json: true }, io), { env });
  return Object(json()).migrations.map(({ state }: { state: string }) => state);
};

describe("each service's migrations", () => {
  it.each(SQL_SERVICES)(
    "%s: taken back one by one to nothing, and applied again to the same",
    async (service) => {
      const before = await shapeOf(service);
      const names = migrations[service].map(({ name }) => name);
      for (const name of [...names].reverse()) {
        const down = await act((io) => migrateDown({ service, yes: true }, io), { env });
        expect(down).toMatchObject({ code: 0, stdout: `${service} ${name} taken back\n` });
      }
      expect(await states(service)).toEqual(names.map(() => "pending"));
      const left = await sql(
        `SELECT relname FROM pg_class WHERE relnamespace = '${service}'::regnamespace AND relkind IN ('r', 'S', 'v')`,
      );
      expect(left).toEqual([{ relname: "migrations" }]);
      const up = await act((io) => migrateUp({ service }, io), { env });
      expect(up).toMatchObject({
        code: 0,
        stdout: names.map((name) => `${service} ${name} applied\n`).join(""),
      });
      expect(await shapeOf(service)).toEqual(before);
    },
  );
});

describe("molecart migrate", () => {
  it("goes to where it is told, one way and the other, and says in a dry run what it would do", async () => {
    const service = "payments";
    const to = "0001-payments";
    const dry = await act((io) => migrateDown({ service, to, dryRun: true }, io), { env });
    expect(dry.stdout).toBe(
      migrations.payments
        .slice(1)
        .reverse()
        .map(({ name }) => `Would take back payments ${name}.\n`)
        .join(""),
    );
    const all = migrations.payments.map(() => "applied");
    expect(await states(service)).toEqual(all);
    expect(await act((io) => migrateDown({ service, to, yes: true }, io), { env })).toMatchObject({
      code: 0,
    });
    expect(await states(service)).toEqual(["applied", ...all.slice(1).map(() => "pending")]);
    const up = await act((io) => migrateUp({ service, to: "0002-sandbox", json: true }, io), { env });
    expect(up.json()).toEqual({ migrations: [{ service, name: "0002-sandbox" }] });
    expect(await act((io) => migrateUp({}, io), { env })).toMatchObject({ code: 0 });
    expect(await states(service)).toEqual(all);
    expect((await act((io) => migrateUp({}, io), { env })).stderr).toBe("There is nothing to do.\n");
  });

  it("takes nothing back without a yes, and several at a time migrate once", async () => {
    const refused = await act((io) => migrateDown({ service: "users" }, io), { env });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(
      /Take back 0001-users of users\? What stands in its tables and columns is lost.*\nSay it with --yes/,
    );
    expect(await states("users")).toEqual(["applied"]);
    await act((io) => migrateDown({ service: "users", yes: true }, io), { env });
    const runs = await Promise.all(Array.from({ length: 4 }, () => act((io) => migrateUp({}, io), { env })));
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(runs.map(({ stdout }) => stdout).sort()).toEqual(["", "", "", "users 0001-users applied\n"]);
  });

  it("leaves alone what a newer version has applied, and names what it doesn't know", async () => {
    await sql("INSERT INTO orders.migrations (name) VALUES ('9999-later')");
    expect(await states("orders")).toEqual([...migrations.orders.map(() => "applied"), "unknown"]);
    const down = await act((io) => migrateDown({ service: "orders", yes: true }, io), { env });
    expect(down).toMatchObject({ code: 1, stdout: "" });
    expect(down.stderr).toMatch(/orders has 9999-later, which this molecart doesn't know/);
    await sql("DELETE FROM orders.migrations WHERE name = '9999-later'");
    expect(await act((io) => migrateDown({}, io), { env })).toMatchObject({ code: 2 });
    expect(await act((io) => migrateStatus({ service: "cart" }, io), { env })).toMatchObject({ code: 2 });
    const unknown = await act((io) => migrateUp({ service: "users", to: "0009" }, io), { env });
    expect(unknown.stderr).toMatch(/users has no migration 0009\.\nIt has 0001-users/);
  });
});
