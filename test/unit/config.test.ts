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

describe("a value that can't be meant", () => {
  const COMPLETE = {
    DATABASE_URL: URL,
    JWT_SECRET: SECRET,
    ADMIN_EMAIL: "admin@shop.example",
    ADMIN_PASSWORD: "admin-password-1",
  };
  const problem = (name: string, value: string) => problemsOf({ ...COMPLETE, [name]: value });

  it.each([
    ["CURRENCY", ["EUR", "JPY"], ["eur", "euro", "€", "EURO"]],
    [
      "TAX_PERCENT",
      ["0", "19", "8.875", "7.1234", "100"],
      ["7,5", "19%", "101", "-1", "7.12345", "NaN", "1e1"],
    ],
    ["SHIPPING_FLAT", ["0", "4.90", "20000000"], ["4,90", "-1", "1.234", "1e12", "20000000.01", "0x10", " "]],
    ["SHIPPING_FREE_FROM", ["50"], ["50 EUR"]],
    ["JOBS_POLL", ["0.5", "30"], ["2s", "0,5", "0.4", "31"]],
    ["OTEL_TRACES_SAMPLER_ARG", ["0", "0.25", "1"], ["0,25", "25%", "2"]],
    ["RESERVATION_TTL", ["1", "15m", "36500d"], ["0", "0m", "36501d", "99999999999999999999", "15 min"]],
    ["CART_TTL", ["7d"], ["0"]],
    ["SESSION_TTL", ["30d"], ["0"]],
    ["JWT_EXPIRES_IN", ["900"], ["0"]],
    ["PORT", ["0", "8080", " 80 "], ["0x50", "8e3", " ", "-1", "70000"]],
    ["DATABASE_URL", ["postgresql://db/shop"], ["mysql://db/shop", "http://db", "db"]],
    ["ORDERS_DATABASE_URL", ["postgres://db/orders"], ["mysql://db/shop"]],
    ["REDIS_URL", ["redis://redis", "rediss://redis:6380/1"], ["http://redis", "localhost:6379", "redis"]],
    [
      "NATS_URL",
      ["localhost", "nats://a:4222, tls://b", "127.0.0.1:4222"],
      ["http://nats:4222", "::::", "nats://"],
    ],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", ["https://otel:4318/x"], ["ftp://otel", "otel"]],
    ["OTEL_EXPORTER_OTLP_HEADERS", ["a=b", "x-key=a%20b,c=d"], ["a", "a b=c", "a=%", "a=%ff"]],
    ["ADMIN_EMAIL", ["ada@shop.example"], ["ada", "ada@shop"]],
    ["ADMIN_PASSWORD", ["8 chars."], ["7 chars", "x".repeat(129)]],
    ["SERVICES", ["orders", "orders, cart"], [",", "Orders"]],
    [
      "MAIL_FROM",
      ["shop@shop.example", "The Shop <shop@shop.example>", '"Shop, Ltd" <shop@shop.example>'],
      ["shop", "The Shop", "shop@localhost", "A <a@b.example>, B <b@b.example>", "A\nBcc: x <a@b.example>"],
    ],
  ])("%s may be any of %j, none of %j", (name, good, bad) => {
    for (const value of good) expect([value, problem(name, value)]).toEqual([value, []]);
    for (const value of bad)
      expect([value, problem(name, value)]).toEqual([
        value,
        [expect.stringMatching(new RegExp(`^${name} `))],
      ]);
  });

  it("SMTP_URL is a server and who logs in there, and needs MAIL_FROM", () => {
    const withFrom = (SMTP_URL: string) =>
      problemsOf({ ...COMPLETE, MAIL_FROM: "shop@shop.example", SMTP_URL });
    for (const url of [
      "smtp://mail",
      "smtp://127.0.0.1:25/",
      "smtps://[::1]:465",
      "smtps://shop%40shop.example:p%2Fw@mail.example",
    ])
      expect([url, withFrom(url)]).toEqual([url, []]);
    for (const url of [
      "mail.example",
      "http://mail",
      "smtp://",
      "smtp://:secret@mail",
      "smtp://a:se%cret@mail",
      "smtp://a:b/c@mail",
      "smtp://mail?tls=off",
      "smtp://mail/box",
    ])
      expect([url, withFrom(url)]).toEqual([
        url,
        ["SMTP_URL must be like smtps://user:password@host:465, user and password percent-encoded"],
      ]);
    expect(problemsOf({ ...COMPLETE, SMTP_URL: "smtp://mail" })).toEqual([
      "MAIL_FROM is required with SMTP_URL",
    ]);
  });

  it.each(["NAMESPACE", "NODE_ID"])("%s must fit into NATS' subjects where there is NATS", (name) => {
    const withNats = (value: string) =>
      problemsOf({ NATS_URL: "nats://nats", SERVICES: "gateway", [name]: value });
    for (const value of ["shop-1", "shop.eu.1", "a_b:c"]) expect(withNats(value)).toEqual([]);
    for (const value of ["a b", "a*", ">", ".a", "a..b"])
      expect(withNats(value)).toEqual([expect.stringContaining(name)]);
    expect(problem(name, "a b")).toEqual([]);
  });
});
