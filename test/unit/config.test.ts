import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ConfigError, databaseConfig, isEmbedded, loadConfig } from "../../lib/config.ts";

let directory: string;
let file: (name: string, text: string) => string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "molecart-config-"));
  file = (name, text) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What stands in the way of a start, as the operator is told. */
function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const SECRET = "s".repeat(40);
const URL = "postgres://shop:secret@db:5432/shop";

describe("secrets in files", () => {
  it("are read for the variable of that name, without the end of their last line", () => {
    const config = loadConfig({
      DATABASE_URL_FILE: file("url", `${URL}\n`),
      JWT_SECRET_FILE: file("jwt", `${SECRET}\r\n`),
      NATS_PASSWORD_FILE: file("nats", " with spaces "),
    });
    expect(config.DATABASE_URL).toBe(URL);
    expect(config.JWT_SECRET).toEqual([SECRET]);
    expect(config.NATS_PASSWORD).toBe(" with spaces ");
  });

  it("make a shop that is not embedded", () => {
    expect(isEmbedded({ DATABASE_URL_FILE: "/run/secrets/database_url" })).toBe(false);
    expect(isEmbedded({ DATABASE_URL_FILE: "" })).toBe(true);
  });

  it("pass the same checks as a variable", () => {
    const problems = problemsOf({ DATABASE_URL: URL, JWT_SECRET_FILE: file("short", "short") });
    expect(problems).toEqual([expect.stringContaining("JWT_SECRET")]);
  });

  it("stop the boot where they can't be read, are empty, or leave a choice", () => {
    const missing = join(directory, "missing");
    const problems = problemsOf({
      DATABASE_URL: URL,
      JWT_SECRET: SECRET,
      JWT_SECRET_FILE: file("other", SECRET),
      NATS_PASSWORD_FILE: missing,
      NATS_TOKEN_FILE: file("empty", "\n"),
    });
    expect(problems).toEqual([
      `NATS_PASSWORD_FILE: ${missing} can't be read (ENOENT)`,
      `NATS_TOKEN_FILE: ${join(directory, "empty")} is empty`,
      "JWT_SECRET and JWT_SECRET_FILE are both set",
    ]);
  });

  it("are read for the shop's own variables only", () => {
    expect(problemsOf({ DATABASE_URL: URL, JWT_SECRET: SECRET, OTHER_FILE: "/nowhere" })).toEqual([]);
  });
});

describe("values that would only fail later", () => {
  const GIVEN = { DATABASE_URL: URL, JWT_SECRET: SECRET };

  it.each([
    ["CURRENCY", "eur", "must be a currency's three letters, like EUR"],
    ["CURRENCY", "EURO", "must be a currency's three letters, like EUR"],
    ["SESSION_TTL", "0", "must be a duration like 900, 15m or 12h"],
    ["RESERVATION_TTL", "soon", "must be a duration like 900, 15m or 12h"],
  ])("%s=%s stops the boot", (name, value, problem) => {
    expect(problemsOf({ ...GIVEN, [name]: value })).toEqual([`${name} ${problem}`]);
  });

  it("are taken where they are right", () => {
    expect(loadConfig({ ...GIVEN, CURRENCY: "CHF", SESSION_TTL: "2h" })).toMatchObject({
      CURRENCY: "CHF",
      SESSION_TTL: 7200,
    });
  });
});

describe("a node of a cluster", () => {
  const NATS_URL = "nats://nats:4222";
  const DATABASE = "DATABASE_URL is required";
  const JWT = "JWT_SECRET is required (32 characters or more)";
  const OWN = { DATABASE_URL: URL };

  it.each<[services: string, given: NodeJS.ProcessEnv, problems: string[]]>([
    ["gateway", {}, []],
    ["notifications,analytics", {}, []],
    ["cart", {}, [DATABASE]],
    ["cart", { REDIS_URL: "redis://redis" }, []],
    ["auth", { REDIS_URL: "redis://redis" }, [JWT]],
    ["orders", {}, [DATABASE]],
    ["orders", OWN, []],
    ["orders", { ORDERS_DATABASE_URL: URL }, []],
    ["orders,users", { ORDERS_DATABASE_URL: URL }, [DATABASE]],
    ["payments", OWN, [JWT]],
    ["payments", { ...OWN, SANDBOX_WEBHOOK_SECRET: SECRET }, []],
    ["", {}, [DATABASE, JWT]],
  ])("that runs %j with %j lacks %j", (SERVICES, given, problems) => {
    expect(problemsOf({ NATS_URL, CLUSTER_SECRET: SECRET, SERVICES, ...given })).toEqual(problems);
  });

  it.each([
    [{}, []],
    [{ CLUSTER_SECRET: `${SECRET},short` }, [expect.stringContaining("at least 32 characters")]],
    [{ CLUSTER_SECRET: `${SECRET}, ${SECRET}` }, []],
    [{ JWT_SECRET: `${SECRET},short` }, [expect.stringContaining("at least 32 characters")]],
    [{ JWT_SECRET: `${SECRET}, ${SECRET}` }, []],
    [{ CLUSTER_SECRET: SECRET, NODE_ID: "@repl.ada" }, ["NODE_ID must not begin with @repl."]],
  ])("with %j lacks %j", (given, problems) => {
    expect(problemsOf({ NATS_URL, SERVICES: "gateway", ...given })).toEqual(problems);
  });

  it("never brings up a Postgres of its own", () => {
    expect(isEmbedded({ NATS_URL })).toBe(false);
  });

  it("migrates with no secret but the database's", () => {
    const config = databaseConfig({ DATABASE_URL: URL, USERS_DATABASE_URL: "postgres://users/users" });
    expect(config.databaseUrl("users")).toBe("postgres://users/users");
    expect(config.databaseUrl("orders")).toBe(URL);
    expect(() => databaseConfig({ USERS_DATABASE_URL: URL })).toThrow(DATABASE);
  });
});
