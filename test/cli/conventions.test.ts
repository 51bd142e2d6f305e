import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { resolve } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Command } from "commander";
import { buildProgram, main } from "../../cli/program.ts";
import { adminToken, givenProduct, send } from "../helpers/client.ts";
import { type RefusingPort, refusingPort } from "../helpers/node-process.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { adminOf } from "./support.ts";

/** What holds for every command. Each is run as its command line says, but in this process. */

interface Row {
  /** What it is called with to work on the shop below. */
  line: string;
  /** What it can't do without: a shop that answers, a login there, or neither. */
  needs: "shop" | "login" | "nothing";
  /** It asks before it does this. */
  asks?: true;
  /** What else it does is tested elsewhere: it would start a shop, or look for stores. */
  elsewhere?: true;
  /** stdin */
  input?: string;
}

const TABLE: Record<string, Row> = {
  health: { line: "", needs: "shop" },
  top: { line: "--count 1", needs: "login" },
  "order place": { line: "--item LAMP --address Home", needs: "login" },
  "order list": { line: "", needs: "login" },
  "order show": { line: "MC-000001", needs: "login" },
  "order watch": { line: "MC-000001 --until pending", needs: "login" },
  "order pay": { line: "MC-000001 --dry-run", needs: "login" },
  "order ship": { line: "MC-000002 --dry-run", needs: "login" },
  "order deliver": { line: "MC-000003 --dry-run", needs: "login" },
  "order cancel": { line: "MC-000001 --dry-run", needs: "login", asks: true },
  "order refund": { line: "MC-000001 --dry-run", needs: "login", asks: true },
  "order flow": { line: "--count 2 --mix browse=1", needs: "shop" },
  "products list": { line: "", needs: "shop" },
  "products show": { line: "LAMP", needs: "shop" },
  "products set": { line: "LAMP --price 11 --dry-run", needs: "login" },
  "products import": {
    line: "- --format ndjson",
    needs: "login",
    input: '{"sku":"X","name":"X","price":1}\n',
  },
  "products export": { line: "", needs: "shop" },
  "stock list": { line: "", needs: "shop" },
  "stock show": { line: "LAMP", needs: "shop" },
  "stock set": { line: "LAMP +1 --dry-run", needs: "login" },
  "stock import": { line: "- --format ndjson", needs: "login", input: '{"product_id":1,"quantity":50}\n' },
  "stock export": { line: "", needs: "shop" },
  "users list": { line: "", needs: "login" },
  "users show": { line: "admin@molecart.local", needs: "login" },
  "users set": { line: "admin@molecart.local --role admin --dry-run", needs: "login", asks: true },
  "users export": { line: "", needs: "login" },
  "sagas list": { line: "", needs: "login" },
  "sagas show": { line: "MC-000001", needs: "login" },
  "sagas redrive": { line: "--all --dry-run", needs: "login" },
  "events list": { line: "", needs: "login" },
  "events show": { line: "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11", needs: "login", elsewhere: true },
  "events redrive": { line: "--all --dry-run", needs: "login" },
  seed: { line: "--products 2", needs: "login" },
  verify: { line: "", needs: "login" },
  repl: { line: "", needs: "login", input: "call cart.get\nnodes\nservices\nwhoami\n" },
  whoami: { line: "", needs: "login" },
  doctor: { line: "", needs: "nothing" },
  "config show": { line: "", needs: "nothing" },
  "open docs": { line: "", needs: "shop" },
  completion: { line: "bash", needs: "nothing" },
  "migrate status": { line: "", needs: "nothing" },
  "migrate up": { line: "--dry-run", needs: "nothing" },
  "migrate down": { line: "--service cart", needs: "nothing", asks: true, elsewhere: true },
  backup: { line: "", needs: "nothing", elsewhere: true },
  restore: { line: "nowhere.tar.zst", needs: "nothing", asks: true, elsewhere: true },
  chaos: { line: "", needs: "nothing", asks: true, elsewhere: true },
  logs: { line: "", needs: "nothing", elsewhere: true },
  login: { line: "--email a@example.com --password-stdin", needs: "nothing", elsewhere: true },
  logout: { line: "", needs: "nothing", elsewhere: true },
};

const GUIDE = readFileSync(resolve(import.meta.dirname, "../../docs/cli.md"), "utf8");

interface Ran {
  code: unknown;
  stdout: string;
  stderr: string;
  /** ms */
  took: number;
}

/** Runs a command line. @param someone whether its streams are a terminal that somebody could answer at */
async function molecart(
  line: string,
  {
    env = {},
    input = "",
    someone = false,
  }: { env?: NodeJS.ProcessEnv; input?: string; someone?: boolean } = {},
): Promise<Ran> {
  const started = performance.now();
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const [stdin, stderr] = [
    Object.assign(streams.stdin, { isTTY: someone }),
    Object.assign(streams.stderr, { isTTY: someone }),
  ];
  const texts = { stdout: "", stderr: "" };
  streams.stdout.on("data", (chunk: Buffer) => (texts.stdout += chunk.toString()));
  stderr.on("data", (chunk: Buffer) => (texts.stderr += chunk.toString()));
  // Nobody answers: a question that is asked would wait for ever.
  if (!someone) stdin.end(input);
  const where: Parameters<typeof main>[1] = {
    env: { XDG_CONFIG_HOME: "/nonexistent", DATA_DIR: "/nonexistent", ...env },
    stdin,
    stdout: streams.stdout,
    stderr,
    exitCode: undefined,
  };
  const words = line.match(/"[^"]*"|\S+/g) ?? [];
  await main(["node", "molecart", ...words.map((word) => word.replaceAll('"', ""))], where);
  return { code: where.exitCode ?? 0, ...texts, took: performance.now() - started };
}

/** Every command that does something, by its words. */
function leavesOf(command: Command, path = ""): [path: string, command: Command][] {
  if (command.commands.length === 0) return [[path, command]];
  return command.commands.flatMap((child) => leavesOf(child, `${path} ${child.name()}`.trim()));
}

const leaves = leavesOf(await buildProgram(() => true));
const rows = Object.entries(TABLE);
const lineOf = (path: string, { line }: Row) => `${path} ${line}`.trim();

it("are held to by every command there is", () => {
  expect(rows.map(([path]) => path).sort()).toEqual(leaves.map(([path]) => path).sort());
});

describe.each(leaves)("molecart %s", (path, command) => {
  it("has --json and --no-input, and an example that it would take", async () => {
    expect(command.options.map(({ long }) => long)).toEqual(expect.arrayContaining(["--json", "--no-input"]));
    const { code, stdout, stderr } = await molecart(`${path} --help`);
    expect([code, stderr]).toEqual([0, ""]);
    // Nothing wraps in a terminal of 80 columns.
    expect(stdout.split("\n").filter((row) => row.length > 80)).toEqual([]);
    const examples = [...stdout.matchAll(/^ {2}\$ .*?molecart (.*)$/gm)].map(([, words = ""]) => words);
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      expect(`${example} `).toMatch(new RegExp(`^${path} `));
      const given = [
        ...example
          .split(/ [|<>] /, 1)
          .join()
          .matchAll(/ (--[a-z-]+)/g),
      ].map(([, option]) => option);
      expect(given.filter((option) => !command.options.some(({ long }) => long === option))).toEqual([]);
    }
  });

  it("says what was meant by a mistyped name or option, and exits with 2", async () => {
    const words = path.split(" ");
    const name = words.pop() ?? "";
    const mistyped = `${name.slice(0, -2)}${name.at(-1)}${name.at(-2)}`;
    const named = await molecart([...words, mistyped].join(" "));
    expect([named.code, named.stdout]).toEqual([2, ""]);
    expect(named.stderr).toMatch(
      new RegExp(`^error: unknown command '${mistyped}' \\(Did you mean .*${name}.*\\?\\)\n`),
    );
    const option = await molecart(`${path} --jsno`);
    expect([option.code, option.stdout]).toEqual([2, ""]);
    expect(option.stderr).toMatch(/^error: unknown option '--jsno' \(Did you mean --json\?\)\n/);
  });
});

describe("with the shop down", () => {
  let nowhere: RefusingPort;
  beforeAll(async () => {
    nowhere = await refusingPort();
  });
  afterAll(() => nowhere.giveBack());

  it.each(rows.filter(([, { needs }]) => needs !== "nothing"))(
    "molecart %s fails with 1, one sentence and the next step, within 3 s",
    async (path, row) => {
      const { url } = nowhere;
      const env = adminOf({ url });
      const { took, ...ran } = await molecart(lineOf(path, row), { env, input: row.input ?? "" });
      expect(ran).toEqual({
        code: 1,
        stdout: "",
        stderr:
          `No shop answers at ${url} (the connection was refused).\n` +
          "Start one with `npm start`, or name another with --url or MOLECART_URL.\n",
      });
      expect(took).toBeLessThan(3000);
    },
  );
});

describe("without a login", () => {
  let anyShop: Server;
  let url: string;
  beforeAll(async () => {
    anyShop = createServer((_, response) => response.end('{"status":"alive"}'));
    await new Promise<void>((resolve) => anyShop.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${Object(anyShop.address()).port}`;
  });
  afterAll(() => void anyShop?.close());

  it.each(rows.filter(([, { needs }]) => needs === "login"))(
    "molecart %s exits with 4",
    async (path, row) => {
      const env = { MOLECART_URL: url };
      const { code, stdout, stderr } = await molecart(lineOf(path, row), { env, input: row.input ?? "" });
      expect([code, stdout]).toEqual([4, ""]);
      expect(stderr).toMatch(/^You are not logged in: .*\n.*`molecart login`.*\n$/);
    },
  );

  it("molecart logout exits with 4, and login asks nobody", async () => {
    expect(await molecart("logout")).toMatchObject({ code: 4, stdout: "" });
    const login = await molecart("login --email a@example.com --no-input", {
      someone: true,
      env: { MOLECART_URL: url },
    });
    expect(login).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("nobody to ask") });
  });
});

describe("on a shop", () => {
  let shop: Shop;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    shop = await startShop();
    const token = await adminToken(shop);
    await givenProduct(shop, token, { name: "Oak lamp", price: 10, stock_quantity: 50, sku: "LAMP" });
    const order = { items: [{ product_id: 1, quantity: 1 }], shipping_address: "Home" };
    const paid = { ...order, payment_method: "pm_card_visa" };
    // MC-000001 waits for its payment, MC-000002 is to be shipped, MC-000003 to be delivered.
    await send(shop, "POST", "/api/orders", order, { token });
    await send(shop, "POST", "/api/orders", paid, { token });
    const third = await send(shop, "POST", "/api/orders", paid, { token });
    for (const status of ["processing", "shipped"])
      await send(shop, "PUT", `/api/orders/${third.at("order", "id")}/status`, { status }, { token });
    env = { ...adminOf(shop), DATABASE_URL: shop.databaseUrl, JWT_SECRET: shop.config.JWT_SECRET.join() };
  });
  afterAll(async () => await shop?.stop());

  it.each(rows.filter(([, { elsewhere }]) => !elsewhere))(
    "molecart %s --json prints JSON and nothing else",
    async (path, row) => {
      const { stdout, stderr, code } = await molecart(`${lineOf(path, row)} --json`, {
        env,
        input: row.input ?? "",
      });
      expect({ code, stderr, isJson: isJson(stdout) }).toMatchObject({ isJson: true });
    },
  );

  it.each(rows.filter(([, { asks, elsewhere }]) => asks && !elsewhere))(
    "molecart %s asks nothing with --no-input, and so does nothing",
    async (path, row) => {
      const line = lineOf(path, row).replace(" --dry-run", "");
      const { code, stdout, stderr } = await molecart(`${line} --no-input`, { env, someone: true });
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(/^Not done without a yes: .*\nSay it with --yes\.\n$/);
    },
  );
});

/** One value, or one a line. */
function isJson(text: string): boolean | string {
  const parses = (part: string) => {
    try {
      JSON.parse(part);
      return true;
    } catch {
      return false;
    }
  };
  return text !== "" && (parses(text) || text.trimEnd().split("\n").every(parses)) ? true : text;
}

it.each(rows)("docs/cli.md shows molecart %s", (path) => {
  expect(GUIDE).toMatch(new RegExp(`molecart ${path}\\b`));
});

describe("misused", () => {
  it.each([
    ["order plce", /unknown command 'plce' \(Did you mean place\?\)/],
    ["helth", /unknown command 'helth' \(Did you mean health\?\)/],
    ["health --wach", /unknown option '--wach' \(Did you mean --watch\?\)/],
    ["order pay MC-000001 --key ключ", /It must be 1 to 255 letters of ASCII/],
    ["order show", /missing required argument 'order'/],
    ["seed --products many", /It must be a whole number from 0/],
    ["events list --subscriber notification", /Allowed choices are gateway, .*notifications/],
    ["events redrive --subscriber notification", /Allowed choices are gateway, .*notifications/],
    ["completion tcsh", /Allowed choices are bash, zsh, fish/],
    ["products list --sort colour", /Allowed choices are newest/],
  ])("molecart %s: 2, and what was meant", async (line, what) => {
    const { code, stdout, stderr } = await molecart(line);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(what);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
  });
});

describe("molecart by itself", () => {
  it("helps with a command of a command, and says what was meant by one that is none", async () => {
    const [help, own] = [await molecart("help order place"), await molecart("order place --help")];
    expect(help).toMatchObject({ code: 0, stderr: "", stdout: own.stdout });
    expect(help.stdout).toContain("--item");
    expect(await molecart("help ordr")).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("Did you mean order?"),
    });
  });

  it("greets with its help", async () => {
    const [bare, help] = [await molecart(""), await molecart("--help")];
    expect(bare).toMatchObject({ code: 0, stderr: "", stdout: help.stdout });
    for (const [path] of leaves) expect(bare.stdout).toContain(`\n  ${path.split(" ", 1)[0]} `);
  });
});
