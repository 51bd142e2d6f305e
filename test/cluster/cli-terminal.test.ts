import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import type { Command } from "commander";
import { widthOf } from "../../cli/lib/output.ts";
import { buildProgram } from "../../cli/program.ts";
import { type Given, type OrderState, PASSWORD, type Row } from "../helpers/cli-rows/row.ts";
import { ROWS } from "../helpers/cli-rows/rows.ts";
import { givenProduct, givenUser, send } from "../helpers/client.ts";
import { type NodeProcess, type RefusingPort, refusingPort, startNode } from "../helpers/node-process.ts";
import { hasTerminal, openTerminal, type Terminal } from "../helpers/terminal.ts";

/** Every command of `molecart` as a process, in a pipe and in a terminal of 80×24, beside one embedded shop. */

let home: string;
let shop: NodeProcess;
let token: string;
let password: string;
let archive: string;
let lamp: number;
const terminals: Terminal[] = [];

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "molecart-terminal-"));
  await mkdir(join(home, "bin"));
  await writeFile(join(home, "bin", "xdg-open"), "#!/bin/sh\n", { mode: 0o755 });
  const DATA_DIR = join(home, "data");
  shop = await startNode({ DATA_DIR, SEED: "demo", RATE_LIMIT: "off", LOG_LEVEL: "info" });
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD } = JSON.parse(
    await readFile(join(DATA_DIR, "secrets.json"), "utf8"),
  );
  password = ADMIN_PASSWORD;
  token = String((await send(shop, "POST", "/api/auth/login", { email, password })).at("access_token"));
  lamp = await givenProduct(shop, token, { name: "Oak lamp", sku: "LAMP", price: 10, stock_quantity: 1000 });
  await givenProduct(shop, token, { name: "Ceramic mug", sku: "MUG", price: 4.1, stock_quantity: 40 });
  archive = join(home, "archive.tar.zst");
  expect(await inPipe(`backup --out ${archive}`, around(DATA_DIR, home))).toMatchObject({ code: 0 });
}, 60_000);
afterEach(() => {
  for (const one of terminals.splice(0)) one.close();
});
afterAll(async () => {
  await shop?.kill("SIGTERM");
  await rm(home, { recursive: true, force: true });
}, 30_000);

/** What a user's shell has around `molecart` where the shop keeps its data. */
function around(dataDir: string, directory: string): Record<string, string> {
  return {
    // In place of a browser stands one that does nothing.
    PATH: [join(home, "bin"), process.env.PATH].join(delimiter),
    HOME: directory,
    TMPDIR: directory,
    XDG_CONFIG_HOME: join(directory, "config"),
    DATA_DIR: dataDir,
    PORT: new URL(shop.url).port,
  };
}

/** A run's own order, customer and files. */
async function given(
  name: string,
  row: Pick<Row, "order" | "isElsewhere" | "login">,
): Promise<{ given: Given; env: Record<string, string> }> {
  const directory = join(home, name.replaceAll(" ", "-"));
  await mkdir(directory);
  await writeFile(join(directory, "products.csv"), "sku,name,price\nPEN,Pencil,1.20\nPAD,Pad,2.40\n");
  await writeFile(join(directory, "stock.csv"), "product_id,quantity\n2,40\n");
  const env = around(join(row.isElsewhere ? directory : home, "data"), directory);
  if (row.login) expect(await inPipe("login", env)).toMatchObject({ code: 0 });
  const order = row.order ? await givenOrder(row.order) : "MC-000001";
  return { given: { order, user: (await givenUser(shop)).email, directory, archive, password }, env };
}

async function givenOrder(state: OrderState): Promise<string> {
  const order = await send(
    shop,
    "POST",
    "/api/orders",
    {
      items: [{ product_id: lamp, quantity: 1 }],
      shipping_address: "Home",
      ...(state === "pending" ? {} : { payment_method: "pm_card_visa" }),
    },
    { token },
  );
  const path = `/api/orders/${order.at("order", "id")}/status`;
  for (const status of state === "shipped" ? ["processing", "shipped"] : [])
    expect(await send(shop, "PUT", path, { status }, { token })).toMatchObject({ status: 200 });
  return String(order.at("order", "number"));
}

interface Piped {
  code: number | null;
  stdout: string;
  stderr: string;
  /** ms */
  took: number;
}

/** @param interruptAt Ctrl-C comes when this was written */
async function inPipe(
  line: string,
  env: Record<string, string>,
  { input = "", interruptAt }: { input?: string; interruptAt?: RegExp } = {},
): Promise<Piped> {
  const started = performance.now();
  const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
  const child = spawn(process.execPath, ["cli/bin.js", ...words], { env, stdio: "pipe" });
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].on("data", (chunk: Buffer) => {
      const isNew = !interruptAt?.test(written[name]);
      written[name] += chunk.toString();
      if (isNew && interruptAt?.test(written[name])) child.kill("SIGINT");
    });
  child.stdin.on("error", () => undefined); // it may end without reading it
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, ...written, took: performance.now() - started };
}

const rows = Object.entries(ROWS);
const lineOf = (name: string, line: ((given: Given) => string) | undefined, given: Given) =>
  `${name} ${line?.(given) ?? ""}`.trim();

/** Every command that does something, by its words. */
function leavesOf(command: Command, path = ""): string[] {
  if (command.commands.length === 0) return [path];
  return command.commands.flatMap((child) => leavesOf(child, `${path} ${child.name()}`.trim()));
}

it("every command there is has its row", async () => {
  const leaves = leavesOf(await buildProgram(() => true));
  expect(Object.keys(ROWS).sort()).toEqual(leaves.sort());
});

describe("in a pipe", () => {
  it.each(rows)("molecart %s", async (name, row) => {
    const { given: own, env } = await given(`pipe ${name}`, row);
    const { line, code = 0, prints, says = /^$/, input, interruptAt } = row.pipe;
    const ran = await inPipe(lineOf(name, line, own), env, { input: input?.(own), interruptAt });
    expect(ran).toMatchObject({ code, stderr: expect.stringMatching(says) });
    // Data, and nothing that only a terminal would know what to do with.
    expect(CONTROL.test(ran.stdout + ran.stderr)).toBe(false);
    if (prints instanceof RegExp) expect(ran.stdout).toMatch(prints);
    else {
      const values = ran.stdout.trimEnd().split("\n");
      expect(values.map((value) => JSON.parse(value)).at(-1)).toMatchObject(prints.json);
    }
    expect(await leftovers(own)).toEqual([]);
  });
});

(hasTerminal ? describe : describe.skip)("in a terminal of 80×24", () => {
  it.each(rows)("molecart %s", async (name, row) => {
    const { given: own, env } = await given(`terminal ${name}`, row);
    const { line, code = 0, steps = [], shows, isWide = false } = row.terminal;
    const terminal = openTerminal(lineOf(name, line, own), env);
    terminals.push(terminal);
    for (const [text, keys] of steps) {
      await terminal.shows(text, 20_000);
      terminal.press(keys === PASSWORD ? `${own.password}\r` : keys);
    }
    const ended = await terminal.exited;
    const lines = terminal.lines();
    expect([ended, lines.join("\n")]).toEqual([code, expect.stringMatching(shows)]);
    if (!isWide) expect(lines.filter((one) => widthOf(one) > 80)).toEqual([]);
    expect(lines.filter((one) => /undefined|NaN|\[object /.test(one))).toEqual([]);
    expect(terminal.raw()).not.toContain(own.password);
    // It gives back the cursor, and the screen.
    for (const [on, off] of [
      ["\u001b[?25h", "\u001b[?25l"],
      ["\u001b[?1049l", "\u001b[?1049h"],
    ] as const)
      expect(terminal.raw().lastIndexOf(on)).toBeGreaterThanOrEqual(terminal.raw().lastIndexOf(off));
    expect(await leftovers(own)).toEqual([]);
  });
});

describe("with the shop down", () => {
  let nowhere: RefusingPort;
  beforeAll(async () => {
    nowhere = await refusingPort();
  });
  afterAll(() => nowhere.giveBack());

  it.each(rows.filter(([, { isLocal }]) => !isLocal))(
    "molecart %s fails with 1, one sentence and the next step, within 3 s",
    async (name, row) => {
      const { url } = nowhere;
      const { given: own, env } = await given(`down ${name}`, {});
      env.MOLECART_URL = url;
      const { line, input } = row.pipe;
      const run = () => inPipe(lineOf(name, line, own), env, { input: input?.(own) });
      let ran = await run();
      // What the machine does beside it is not the command's.
      for (let tries = 1; tries < 3 && ran.took >= 3000; tries++) ran = await run();
      expect(ran).toMatchObject({
        code: 1,
        stdout: "",
        stderr:
          `No shop answers at ${url} (the connection was refused).\n` +
          "Start one with `npm start`, or name another with --url or MOLECART_URL.\n",
      });
      expect(ran.took).toBeLessThan(3000);
    },
  );
});

/** Shops that a command started in its directory and did not take away. */
async function leftovers({ directory }: Given): Promise<string[]> {
  return (await readdir(directory)).filter((entry) => entry.startsWith("molecart-"));
}
