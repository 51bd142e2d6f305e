import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { COMMANDS } from "../../cli/program.ts";
import { molecart, molecartEach, type Run } from "../helpers/cli.ts";
import { adminToken, eventually, givenProduct, send } from "../helpers/client.ts";
import { freePort } from "../helpers/node-process.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { adminOf } from "./support.ts";

const run = promisify(execFile);
let shop: Shop;
let env: Record<string, string>;
let token: string;
beforeAll(async () => {
  shop = await startShop();
  env = adminOf(shop);
  token = await adminToken(shop);
  await givenProduct(shop, token, { name: "Oak lamp", price: 10, stock_quantity: 1000, sku: "LAMP" });
});
afterAll(() => shop?.stop());

/** One of each kind of command that asks the shop; the others go the same ways. */
const ASKING = [
  "health",
  "verify",
  "whoami",
  "open docs",
  "products show 1",
  "products import - --format csv",
  "products export",
  "stock set 1 2",
  "users list",
  "sagas redrive --all --yes",
  "top",
  "order place --item 1 --address here",
  "order watch MC-1",
  "order refund MC-1 --yes",
  "order flow --count 5",
  "seed --products 5",
  "login --email a@example.com --password-stdin",
];

describe("in a pipe", () => {
  it("health, top and order flow with --json are what jq takes", async () => {
    const [health, top, flow] = await Promise.all([
      molecart(["health", "--json"], env),
      molecart(["top", "--count", "2", "--json"], env),
      molecart(["order", "flow", "--count", "10", "--concurrency", "2", "--json"], env),
    ]);
    expect([health.code, health.stderr, flow.code, flow.stderr]).toEqual([0, "", 0, ""]);
    expect(JSON.parse(health.stdout)).toMatchObject({ ok: true });
    expect([top.code, top.stderr]).toEqual([0, ""]);
    const looks = top.stdout.trimEnd().split("\n");
    expect(looks.map((line) => JSON.parse(line).status)).toEqual(looks.map(() => "healthy"));
    const lines = flow.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)).toMatchObject({ type: "summary", visits: 10, failed: 0 });
    expect(lines.slice(0, -1).every(({ type }) => type === "progress")).toBe(true);
  });

  it("survives a reader that has seen enough", async () => {
    const { stdout } = await run(
      "sh",
      ["-c", `"${process.execPath}" cli/molecart.ts products export | head -c 5`],
      {
        env: { ...env, PATH: process.env.PATH, XDG_CONFIG_HOME: "/nonexistent" },
      },
    );
    expect(stdout).toBe('{"sku');
  });

  it("ends at Ctrl-C with the code of what it saw", async () => {
    const child = spawn(process.execPath, ["cli/molecart.ts", "health", "--watch", "--json"], {
      env: { ...env, PATH: process.env.PATH ?? "", XDG_CONFIG_HOME: "/nonexistent" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([0, null]);
  });
});

/** ms in which a command must have told that the shop is down. */
const SOON = 3000;
/** ms of a core that a help may take: how long that is depends on what the machine does beside it. */
const AT_ONCE = 200;

/** Runs it again where it took long: what the machine does beside it is not the command's. */
async function quickest(args: readonly string[], around: Record<string, string>) {
  let run = await molecart(args, around);
  for (let tries = 1; tries < 3 && run.took >= SOON; tries++) run = await molecart(args, around);
  return run;
}

describe("with the shop down", () => {
  it("a command that asks it fails with 1, one sentence and the next step, within 3 s", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const down = { ...env, MOLECART_URL: url };
    const [alone, runs] = await Promise.all([
      quickest(["health"], down),
      molecartEach(
        ASKING.map((command) => command.split(" ")),
        down,
      ),
    ]);
    for (const [index, { code, stdout, stderr, took }] of [alone, ...runs].entries()) {
      const what = { command: ["health", ...ASKING][index], code, stdout, stderr };
      expect(what).toEqual({
        ...what,
        code: 1,
        stdout: "",
        stderr:
          `No shop answers at ${url} (the connection was refused).\n` +
          "Start one with `npm start`, or name another with --url or MOLECART_URL.\n",
      });
      expect(took).toBeLessThan(SOON);
    }
  });

  it("a port that takes connections and says nothing is down, too", async () => {
    const server = createServer((socket) => socket.resume());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = Object(server.address());
    const hung = await quickest(["health"], { MOLECART_URL: `http://127.0.0.1:${address.port}` });
    expect(hung).toMatchObject({ code: 1, stdout: "" });
    expect(hung.took).toBeLessThan(SOON);
    server.close();
  });
});

describe("misused", () => {
  const MISUSES: [string, RegExp][] = [
    ["order plce", /unknown command 'plce' \(Did you mean place\?\)/],
    ["helth", /unknown command 'helth' \(Did you mean health\?\)/],
    ["health --wach", /unknown option '--wach' \(Did you mean --watch\?\)/],
    ["order show", /missing required argument 'order'/],
    ["seed --products many", /It must be a whole number from 0/],
    ["completion tcsh", /Allowed choices are bash, zsh, fish/],
    ["products list --sort colour", /Allowed choices are newest/],
  ];
  let runs: Run[];
  beforeAll(async () => {
    runs = await molecartEach(
      MISUSES.map(([command]) => command.split(" ")),
      env,
    );
  });

  it.each(MISUSES.map(([command, what], index) => ({ command, what, index })))(
    "$command: 2, and what was meant",
    ({ what, index }) => {
      const { code, stdout, stderr } = runs[index] ?? {};
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(what);
      expect(stderr?.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    },
  );
});

describe("the help", () => {
  it("has an example for each command", async () => {
    const helps = await molecartEach(COMMANDS.map(({ name }) => [name, "--help"]));
    expect(helps).toHaveLength(COMMANDS.length);
    for (const { code, stdout, stderr } of helps) {
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/\nExamples:\n|\nCommands:\n/);
    }
  });

  it("comes at once", async () => {
    const meter =
      "process.on('exit', () => console.error(process.cpuUsage().user + process.cpuUsage().system))";
    const costs = [];
    for (let i = 0; i < 3; i++) {
      const run = await molecart(["order", "--help"], {}, ["--import", `data:text/javascript,${meter}`]);
      expect(run.stdout).toMatch(/^Usage: molecart order/);
      costs.push(Number(run.stderr) / 1000);
    }
    expect(Math.min(...costs)).toBeLessThan(AT_ONCE);
  });

  it.each([
    ["bash", "-n"],
    ["zsh", "-n"],
    ["fish", "--no-execute"],
  ])("completion %s is a script of that shell", async (shell, check) => {
    const { code, stdout } = await molecart(["completion", shell]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/redrive/);
    if (isProgram(shell)) await run(shell, [check, "-c", stdout]);
  });

  it("completion works in bash", async () => {
    const { stdout } = await molecart(["completion", "bash"]);
    const complete = async (...words: string[]) => {
      const line = ["molecart", ...words].map((word) => `'${word}'`).join(" ");
      const script = `${stdout}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length}; _molecart; echo "\${COMPREPLY[@]}"`;
      return (await run("bash", ["-c", script])).stdout.trim().split(" ");
    };
    expect(await complete("he")).toEqual(["health"]);
    expect(await complete("order", "w")).toEqual(["watch"]);
    expect(await complete("order", "watch", "--u")).toEqual(["--url", "--until"]);
    expect(await complete("completion", "z")).toEqual(["zsh"]);
  });
});

function isProgram(name: string): boolean {
  return (process.env.PATH ?? "").split(":").some((directory) => {
    try {
      accessSync(`${directory}/${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** util-linux's `script` runs a command in a pseudo-terminal. */
const inTerminal = process.platform === "linux" && isProgram("script") ? describe : describe.skip;

inTerminal("in a terminal", () => {
  const ends: (() => void)[] = [];
  // A test that failed leaves nobody waiting for keys.
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  function open(command: string, extra: Record<string, string> = {}) {
    const child = spawn(
      "script",
      ["-qefc", `stty cols 80 rows 24; exec ${process.execPath} cli/molecart.ts ${command}`, "/dev/null"],
      {
        env: {
          ...env,
          PATH: process.env.PATH ?? "",
          XDG_CONFIG_HOME: "/nonexistent",
          TERM: "xterm-256color",
          ...extra,
        },
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    let screen = "";
    child.stdout.on("data", (chunk: Buffer) => (screen += chunk.toString()));
    const exited = once(child, "exit").then(([code]) => code);
    ends.push(() => child.stdin.destroy());
    ends.push(() => void child.kill("SIGKILL"));
    return {
      exited,
      screen: () => screen,
      shows: (text: string) => eventually(async () => screen.includes(text)),
      press: (keys: string) => child.stdin.write(keys),
    };
  }

  it("the wizard places an order", async () => {
    const { exited, shows, press } = open("order place --address Home", { NO_COLOR: "1" });
    await shows("Oak lamp");
    press("lamp");
    await shows("Search: lamp");
    press("\r");
    await shows("Cart: 1 piece, 10.00 EUR");
    press("\t");
    await shows("To: Home");
    press("\r");
    await shows("Mastercard");
    press("\r");
    await shows("paid by pm_card_visa");
    press("\r");
    await shows("confirmed  10.00 EUR");
    expect(await exited).toBe(0);
    const orders = await send(shop, "GET", "/api/orders?limit=1", undefined, { token });
    expect(orders.at("orders", 0)).toMatchObject({ status: "confirmed", shipping_address: "Home" });
  });

  it("Ctrl-C leaves the wizard with 2, and nothing ordered", async () => {
    const { exited, shows, press, screen } = open("order place");
    await shows("Oak lamp");
    press("\u0003");
    expect(await exited).toBe(2);
    expect(screen()).toContain("Cancelled: nothing was ordered.");
  });

  it("asks before what can't be taken back, and takes no for an answer", async () => {
    const order = await send(
      shop,
      "POST",
      "/api/orders",
      { items: [{ product_id: 1, quantity: 1 }], shipping_address: "Home" },
      { token },
    );
    const { exited, shows, press } = open(`order cancel ${order.at("order", "number")}`);
    await shows("[y/N]");
    press("n\r");
    await shows("Cancelled: nothing was done.");
    expect(await exited).toBe(2);
  });

  it("top takes the whole screen, and gives it back at Ctrl-C", async () => {
    const { exited, shows, press, screen } = open("top", { NO_COLOR: "1" });
    await shows("[1 services]");
    press("5");
    await shows("[5 queues]");
    press("\u0003");
    expect(await exited).toBe(0);
    const [enter, leave] = ["\u001b[?1049h", "\u001b[?1049l"].map((code) => screen().lastIndexOf(code));
    expect(enter).toBeGreaterThanOrEqual(0);
    expect(leave).toBeGreaterThan(Number(enter));
    // What is left behind shows the cursor.
    expect(screen().slice(leave)).toContain("\u001b[?25h");
  });

  it("has colours, and none with NO_COLOR", async () => {
    const [colourful, plain] = [open("health --watch"), open("health --watch", { NO_COLOR: "1" })];
    await Promise.all([colourful.shows("sagas"), plain.shows("sagas")]);
    for (const one of [colourful, plain]) one.press("\u0003");
    expect(await Promise.all([colourful.exited, plain.exited])).toEqual([0, 0]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour is one
    const colour = /\u001b\[3[0-9]m/;
    expect(colour.test(colourful.screen())).toBe(true);
    expect(colour.test(plain.screen())).toBe(false);
  });
});
