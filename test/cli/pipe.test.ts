import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { molecart } from "../helpers/cli.ts";
import { adminToken, givenProduct, send } from "../helpers/client.ts";
import { refusingPort } from "../helpers/node-process.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { hasTerminal, isProgram, openTerminal } from "../helpers/terminal.ts";
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
      ["-c", `"${process.execPath}" cli/bin.js products export | head -c 5`],
      {
        env: { ...env, PATH: process.env.PATH, XDG_CONFIG_HOME: "/nonexistent" },
      },
    );
    expect(stdout).toBe('{"sku');
  });

  it("has not failed where what it says goes into the same pipe", async () => {
    const command = `{ "${process.execPath}" cli/bin.js products list 2>&1 >/dev/null; echo $? >&3; } 3>&2 | true`;
    const { stderr } = await run("sh", ["-c", command], {
      env: { ...env, PATH: process.env.PATH, XDG_CONFIG_HOME: "/nonexistent" },
    });
    expect(stderr).toBe("0\n");
  });

  it("ends at Ctrl-C with the code of what it saw", async () => {
    const child = spawn(process.execPath, ["cli/bin.js", "health", "--watch", "--json"], {
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
/** ms in which it must have given up to wait for a shop that says nothing. */
const PATIENCE = 2500;

/** Runs it again where it took long: what the machine does beside it is not the command's. */
async function quickest(args: readonly string[], around: Record<string, string>, ms: number) {
  let run = await molecart(args, around);
  for (let tries = 1; tries < 5 && run.took >= ms; tries++) {
    const again = await molecart(args, around);
    if (again.took < run.took) run = again;
  }
  return run;
}

describe("with the shop down", () => {
  it("a command fails with 1, one sentence and the next step, within 3 s", async () => {
    const { url, giveBack } = await refusingPort();
    const { took, ...run } = await quickest(["verify"], { ...env, MOLECART_URL: url }, SOON);
    giveBack();
    expect(run).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `No shop answers at ${url} (the connection was refused).\n` +
        "Start one with `npm start`, or name another with --url or MOLECART_URL.\n",
    });
    expect(took).toBeLessThan(SOON);
  }, 60_000);

  it("a port that takes connections and says nothing is down, too", async () => {
    const server = createServer((socket) => socket.resume());
    // A test that failed leaves it open: Jest's worker must be able to end all the same.
    server.listen(0, "127.0.0.1").unref();
    await once(server, "listening");
    const { port } = Object(server.address());
    const refusing = await refusingPort();
    // Beyond what a command takes that is told at once, in the same moment.
    let waited = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 5 && waited >= PATIENCE; tries++) {
      const refused = await molecart(["health"], { MOLECART_URL: refusing.url });
      const hung = await molecart(["health"], { MOLECART_URL: `http://127.0.0.1:${port}` });
      expect(hung).toMatchObject({ code: 1, stdout: "" });
      waited = hung.took - refused.took;
    }
    refusing.giveBack();
    server.close();
    expect(waited).toBeLessThan(PATIENCE);
  }, 60_000);
});

/** Says on stderr which of npm's packages were loaded, and how much of a processor's time it took. */
const NOTE = String.raw`
  import { registerHooks } from "node:module";
  const packages = new Set();
  registerHooks({
    load(url, context, next) {
      const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
      if (name) packages.add(name);
      return next(url, context);
    },
  });
  process.on("exit", () => {
    const { user, system } = process.cpuUsage();
    console.error(JSON.stringify({ packages: [...packages], ms: (user + system) / 1000 }));
  });
`;

/** What a command costs, at best: what else the machine does is not its own. */
async function costOf(args: readonly string[]): Promise<{ packages: string[]; ms: number }> {
  const hook = ["--import", `data:text/javascript,${encodeURIComponent(NOTE)}`];
  let cost: { packages: string[]; ms: number } | undefined;
  for (let tries = 0; tries < 3 && (cost?.ms ?? 999) >= 200; tries++) {
    const { code, stderr } = await molecart(args, {}, hook);
    expect(code).toBe(0);
    cost = JSON.parse(stderr);
  }
  return cost ?? { packages: [], ms: 0 };
}

describe("the help", () => {
  it.each([[["--help"]], [["order", "place", "--help"]]])(
    "of %j comes at once: it waits for nothing but commander",
    async (args) => {
      const { packages, ms } = await costOf(args);
      expect(packages).toEqual(["commander"]);
      expect(ms).toBeLessThan(200);
    },
  );

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

const inTerminal = hasTerminal ? describe : describe.skip;

inTerminal("in a terminal", () => {
  const ends: (() => void)[] = [];
  // A test that failed leaves nobody waiting for keys.
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  function open(command: string, extra: Record<string, string> = {}) {
    const terminal = openTerminal(command, { ...env, ...extra });
    ends.push(terminal.close);
    return terminal;
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
    const { exited, shows, press, raw } = open("order place");
    await shows("Oak lamp");
    press("\u0003");
    expect(await exited).toBe(2);
    expect(raw()).toContain("Cancelled: nothing was ordered.");
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

  it("Ctrl-C in the REPL ends the command that runs, and not the REPL", async () => {
    const { exited, shows, press } = open("repl", { HOME: "/nonexistent" });
    await shows("molecart $ ");
    press("order flow --count 100000\r");
    await shows("Ctrl-C stops");
    press("\u0003");
    await shows("Cancelled after");
    press("call products.get --id 1\r");
    await shows("Oak lamp");
    press("exit\r");
    expect(await exited).toBe(0);
  });

  it("the REPL runs pasted lines one after the other", async () => {
    const { exited, shows, press, lines } = open("repl", { HOME: "/nonexistent" });
    await shows("molecart $ ");
    press("stock show LAMP\rwhoami\rexit\r");
    expect(await exited).toBe(0);
    const answers = lines().filter((line) => / pieces of product 1 |admin@molecart\.local$/.test(line));
    expect(answers).toEqual([expect.stringContaining("LAMP"), expect.stringContaining("admin@")]);
  });

  it("top takes the whole screen, and gives it back at Ctrl-C", async () => {
    const { exited, shows, press, raw } = open("top", { NO_COLOR: "1" });
    await shows("[1 services]");
    press("5");
    await shows("[5 queues]");
    press("\u0003");
    expect(await exited).toBe(0);
    const [enter, leave] = ["\u001b[?1049h", "\u001b[?1049l"].map((code) => raw().lastIndexOf(code));
    expect(enter).toBeGreaterThanOrEqual(0);
    expect(leave).toBeGreaterThan(Number(enter));
    // What is left behind shows the cursor.
    expect(raw().slice(leave)).toContain("\u001b[?25h");
  });

  it("has colours, and none with NO_COLOR", async () => {
    const [colourful, plain] = [open("health --watch"), open("health --watch", { NO_COLOR: "1" })];
    await Promise.all([colourful.shows("sagas"), plain.shows("sagas")]);
    for (const one of [colourful, plain]) one.press("\u0003");
    expect(await Promise.all([colourful.exited, plain.exited])).toEqual([0, 0]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour is one
    const colour = /\u001b\[3[0-9]m/;
    expect(colour.test(colourful.raw())).toBe(true);
    expect(colour.test(plain.raw())).toBe(false);
  });
});
