import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Value } from "typebox/value";
import { verify } from "../../cli/actions/verify.ts";
import { InvalidCredentials } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { authContract, type Principal } from "../../services/auth/auth.contract.ts";
import { VerifyReport } from "../../services/gateway/gateway.contract.ts";
import { FakeAudits } from "../helpers/audits.ts";
import { molecart, molecartEach } from "../helpers/cli.ts";
import { SECRETS } from "../helpers/env.ts";
import { fakeService } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { act } from "./support.ts";

const { ADMIN_EMAIL, ADMIN_PASSWORD } = SECRETS;
const ADMIN = { ADMIN_EMAIL, ADMIN_PASSWORD };
const ID = newId();
const audits = new FakeAudits();
let shop: Shop;
let dataDir: string;

const auth = fakeService(authContract, {
  resolve: async (ctx): Promise<Principal | null> =>
    ctx.params.token === "the-admin" ? { id: ID, role: "admin", session_id: ID } : null,
  login: async (ctx) => {
    const { email, password } = ctx.params;
    if (email !== ADMIN_EMAIL || password !== ADMIN_PASSWORD) throw new InvalidCredentials({});
    const at = "2026-01-01T00:00:00.000Z";
    const names = { name: "A B", first_name: "A", last_name: "B", phone: null };
    const state = { role: "admin" as const, is_active: true, created_at: at, updated_at: at };
    return {
      message: "Hello.",
      user: { id: ID, email, ...names, ...state },
      access_token: "the-admin",
      refresh_token: "r",
      token_type: "Bearer" as const,
      expires_in: 900,
    };
  },
});

beforeAll(async () => {
  shop = await startShop({ replace: { auth, ...audits.services } });
  dataDir = await mkdtemp(join(tmpdir(), "molecart-cli-"));
  await writeFile(join(dataDir, "secrets.json"), JSON.stringify(SECRETS));
});
afterAll(async () => {
  await shop?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** The command in this process. */
async function check(options: { url?: string }, env: Record<string, string>) {
  const started = performance.now();
  const ran = await act((io) => verify(options, io), { env });
  return { ...ran, took: performance.now() - started };
}

/** A test that failed leaves it open: Jest's worker must be able to end all the same. */
async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve).unref());
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("The server does not listen.");
  return `http://127.0.0.1:${address.port}`;
}

describe("molecart verify", () => {
  it("says that a shop in order is in order", async () => {
    audits.clear();
    audits.order();
    const { code, stdout, stderr } = await check({ url: shop.url }, ADMIN);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(1, 6).map((line) => line.slice(0, 4))).toEqual([
      "✓ I1",
      "✓ I2",
      "✓ I3",
      "✓ I4",
      "✓ I5",
    ]);
    expect(lines[0]).toMatch(/^ +rows$/);
    expect(lines[1]).toMatch(/ 12$/);
    expect(lines[2]).toMatch(/ 1$/);
    expect(lines.at(-1)).toBe("All invariants hold.");
  });

  it("says what is broken, with the rows, and fails", async () => {
    audits.clear();
    const id = audits.order();
    audits.pay(id, { captured: 1 });
    audits.lose("dead", "order.placed", 90);
    const { code, stdout } = await check({ url: shop.url }, ADMIN);
    audits.undelivered = [];
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ I2 .* 1 {2}1 violation\n/);
    expect(stdout).toMatch(/✓ I1 /);
    expect(stdout).toContain("  I2 Order MC-000001 comes to 29.99 and 0.01 was captured.");
    expect(stdout).toContain(id);
    expect(stdout).toContain(
      "  note: Dead letter: order.placed for analytics was given up after its last retry.",
    );
    expect(stdout.trimEnd()).toMatch(/1 invariant is broken\.$/);
  });

  it("--json prints the report and nothing else, with the same exit code", async () => {
    audits.clear();
    const good = await molecart(["verify", "--json", "--url", shop.url], ADMIN);
    expect([good.code, good.stderr]).toEqual([0, ""]);
    const report: unknown = JSON.parse(good.stdout);
    expect(Value.Check(VerifyReport, report)).toBe(true);
    audits.pay(audits.order(), { captured: 1 });
    const bad = await molecart(["verify", "--json", "--url", shop.url], ADMIN);
    expect(bad.code).toBe(1);
    expect(JSON.parse(bad.stdout)).toMatchObject({ ok: false });
    audits.clear();
  });

  it("finds the shop by --url, MOLECART_URL or PORT, in this order", async () => {
    const { port } = new URL(shop.url);
    const nowhere = "http://127.0.0.1:9";
    const runs = await Promise.all([
      check({}, { ...ADMIN, PORT: port }),
      check({}, { ...ADMIN, MOLECART_URL: shop.url, PORT: "9" }),
      check({ url: shop.url }, { ...ADMIN, MOLECART_URL: nowhere }),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
  });

  it("finds the admin in the environment, else where an embedded shop keeps its data", async () => {
    const [kept, given] = await Promise.all([
      check({ url: shop.url }, { DATA_DIR: dataDir }),
      check({ url: shop.url }, { DATA_DIR: dataDir, ADMIN_EMAIL, ADMIN_PASSWORD: "another" }),
    ]);
    expect([kept.code, given.code]).toEqual([0, 4]);
  });
});

describe("molecart verify fails with one sentence and the next step", () => {
  /** What every failure looks like: nothing on stdout, two or three lines on stderr, no stack. */
  function expectSaid(
    { code, stdout, stderr }: Pick<Awaited<ReturnType<typeof molecart>>, "code" | "stdout" | "stderr">,
    expected: number,
    what: RegExp,
  ): void {
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    expect(stderr).toMatch(what);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(3);
    expect(stderr).not.toMatch(/ {4}at |undefined/);
  }

  it("if the shop is down", async () => {
    const server = createServer();
    const url = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const run = await check({ url: url }, ADMIN);
    expectSaid(
      run,
      1,
      /No shop answers at http:\/\/127.0.0.1:\d+ \(the connection was refused\)\.\nStart one with `npm start`/,
    );
    expect(run.took).toBeLessThan(3000);
  });

  it("if the shop hangs", async () => {
    const server = createServer((socket) => socket.resume());
    const run = await check({ url: await listen(server) }, ADMIN);
    expectSaid(run, 1, /No shop answers .* \(no answer within 2 s\)/);
    server.close();
  });

  it("if something else answers there", async () => {
    const server = createHttpServer((_req, res) => res.end("<html>It works!</html>"));
    const run = await check({ url: await listen(server) }, ADMIN);
    expectSaid(run, 1, /something else answers there/);
    server.close();
    server.closeAllConnections();
  });

  it("if the credentials are wrong: 4", async () => {
    const run = await check({ url: shop.url }, { ADMIN_EMAIL, ADMIN_PASSWORD: "wrong" });
    expectSaid(run, 4, /doesn't know admin@molecart.local with this password/);
    expect(run.stderr).not.toContain("wrong\n");
  });

  it("if there are none: 4", async () => {
    const run = await check({ url: shop.url }, { DATA_DIR: join(dataDir, "nothing") });
    expectSaid(run, 4, /neither ADMIN_EMAIL and ADMIN_PASSWORD nor .*secrets.json/);
  });

  it("if it is misused", async () => {
    const misuses: [string[], RegExp][] = [
      [["verify", "--nope"], /unknown option/],
      [["verify", "--url"], /argument missing/],
      [["verify", "--url", "ftp://shop"], /is not an address/],
      [["verify", "--url", "shop"], /is not an address/],
      [["verify", "--url", "http://shop.example/sub"], /is not an address/],
      [
        ["verify", "--url", "http://ada:secret@shop.example"],
        /^http:\/\/…@shop\.example is not an address.*\nIt is that of --url: /,
      ],
      [["verify", "now"], /too many arguments/],
      [["verfiy"], /unknown command/],
    ];
    const runs = await molecartEach(
      misuses.map(([args]) => args),
      ADMIN,
    );
    expect(runs).toHaveLength(misuses.length);
    for (const [index, run] of runs.entries()) expectSaid(run, 2, misuses[index]?.[1] ?? /never/);
  });
});

describe("molecart --help", () => {
  it("explains, also to who asks for nothing yet", async () => {
    const runs = await molecartEach([["--help"], ["verify", "--help"], ["help", "verify"], []]);
    for (const { code, stdout, stderr } of runs) {
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/^Usage: molecart/);
    }
  });

  it("doesn't wait for what the commands need", async () => {
    const spy = `data:text/javascript,${encodeURIComponent(
      'import { registerHooks } from "node:module"; registerHooks({ load(url, context, next) { process.stderr.write(url + "\\n"); return next(url, context); } });',
    )}`;
    const { stderr } = await molecart(["--help"], {}, ["--import", spy]);
    const loaded = stderr
      .trim()
      .split("\n")
      .filter((url) => url.startsWith("file:"));
    expect(loaded.some((url) => url.endsWith("/cli/program.ts"))).toBe(true);
    expect(
      loaded.filter((url) =>
        /\/actions\/|\/commands\/|\/services\/|\/node_modules\/(?!commander\/)/.test(url),
      ),
    ).toEqual([]);
  });
});
