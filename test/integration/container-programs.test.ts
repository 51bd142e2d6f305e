import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import pg from "pg";
import { SQL_SERVICES } from "../../lib/service-names.ts";
import { TEMPLATE_DATABASE } from "../helpers/env.ts";
import { freePort } from "../helpers/node-process.ts";

/** The small programs that the image and the manifests start, as they start them. */

const ROOT = resolve(import.meta.dirname, "../..");

interface Program {
  child: ChildProcess;
  output: () => string;
  /** Resolves when it has written that. */
  wrote: (text: string) => Promise<void>;
  /** Resolves when it has ended. */
  exit: Promise<number | null>;
}

const started: ChildProcess[] = [];
// A test that failed leaves them running, and Jest's worker with them.
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

function start(args: readonly string[], env: Record<string, string> = {}): Program {
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  let output = "";
  const closed = once(child, "close");
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return {
    child,
    output: () => output,
    async wrote(text) {
      while (!output.includes(text)) {
        const more = await Promise.race([once(child.stdout, "data"), closed.then(() => undefined)]);
        if (!more && !output.includes(text)) throw new Error(`It ended without "${text}":\n${output}`);
      }
    },
    exit: closed.then(() => child.exitCode),
  };
}

describe("docker/migrate.ts", () => {
  let url: string;

  beforeAll(async () => {
    const server = new URL(process.env.TEST_DATABASE_URL ?? "");
    const name = `unmigrated_${randomBytes(6).toString("hex")}`;
    const admin = new pg.Client({ connectionString: server.href });
    await admin.connect();
    await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`);
    await admin.end();
    server.pathname = `/${name}`;
    url = server.href;
  });

  it("migrates every service and ends, and whoever waits for that ends then", async () => {
    const waiting = start(["docker/migrate.ts", "--wait", "orders"], { DATABASE_URL: url });
    await waiting.wrote("orders: waiting for its migrations");
    expect(waiting.child.exitCode).toBeNull();

    const first = start(["docker/migrate.ts"], { DATABASE_URL: url });
    expect(await first.exit).toBe(0);
    expect(first.output().match(/^\w+: applied /gm)).toHaveLength(SQL_SERVICES.length);
    expect(await waiting.exit).toBe(0);

    const second = start(["docker/migrate.ts", "users"], { DATABASE_URL: url });
    expect(await second.exit).toBe(0);
    expect(second.output()).toBe("users: up to date\n");
    // Three processes, one after the other.
  }, 60_000);

  it("waits for a database that is not there yet, until it is told to stop", async () => {
    const DATABASE_URL = `postgres://nobody@127.0.0.1:${await freePort()}/none`;
    const program = start(["docker/migrate.ts"], { DATABASE_URL });
    await program.wrote("users: SequelizeConnectionRefusedError");
    program.child.kill("SIGTERM");
    expect(await program.exit).toBe(143);
  });

  it("says what is missing", async () => {
    const program = start(["docker/migrate.ts"]);
    expect(await program.exit).toBe(2);
    expect(program.output()).toContain("DATABASE_URL is required");
  });
});

describe("docker/backup.ts", () => {
  const OLD = ["molecart-2025-01-01T03-15-00Z.tar.zst", "molecart-2025-01-02T03-15-00Z.tar.zst"];
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "molecart-backups-"));
    for (const name of [...OLD, "notes.txt"]) await writeFile(join(directory, name), "");
    await mkdir(join(directory, "data/documents"), { recursive: true });
  });
  afterEach(async () => await rm(directory, { recursive: true }));

  const backUp = (databaseUrl: string, keep: string) =>
    start(["docker/backup.ts", "--directory", directory, "--keep", keep], {
      DATABASE_URL: databaseUrl,
      DATA_DIR: join(directory, "data"),
    });

  it("adds an archive and keeps the last ones, and what is none, but no draft that was left long ago", async () => {
    const drafts = ["1a2b3c4d", "5e6f7a8b"].map((id) => `${OLD[1]}.${id}.part`);
    for (const draft of drafts) await writeFile(join(directory, draft), "");
    const [abandoned = "", fresh = ""] = drafts;
    await utimes(join(directory, abandoned), new Date(0), new Date(0));
    const server = new URL(process.env.TEST_DATABASE_URL ?? "");
    const name = `backed_up_${randomBytes(6).toString("hex")}`;
    const admin = new pg.Client({ connectionString: server.href });
    await admin.connect();
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE_DATABASE}`);
    await admin.end();
    server.pathname = `/${name}`;
    const program = backUp(server.href, "2");
    expect([await program.exit, program.output()]).toEqual([
      0,
      expect.stringContaining(`${OLD[0]} is removed`),
    ]);
    const [, first, draft, second, ...others] = (await readdir(directory)).sort();
    expect([first, draft, others]).toEqual([OLD[1], fresh, ["notes.txt"]]);
    expect((await stat(join(directory, String(second)))).size).toBeGreaterThan(1000);
  });

  it("removes nothing when it fails", async () => {
    const program = backUp(`postgres://nobody@127.0.0.1:${await freePort()}/none`, "1");
    expect(await program.exit).toBe(1);
    expect((await readdir(directory)).sort()).toEqual(["data", ...OLD, "notes.txt"]);
  });
});

describe("docker/healthcheck.js", () => {
  /** Checks a node whose readiness has that status. */
  async function check(status: number): Promise<{ code: number | null; output: string }> {
    const node = createServer((req, res) => {
      res.writeHead(req.url === "/health/ready" ? status : 404).end(`status ${status}`);
    }).listen(0, "127.0.0.1");
    node.unref();
    await once(node, "listening");
    const address = node.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const program = start(["docker/healthcheck.js"], { PORT: "1", HEALTH_PORT: String(port) });
    const code = await program.exit;
    node.close();
    return { code, output: program.output() };
  }

  it("is well where the node is ready, and only there, and says why", async () => {
    expect(await check(200)).toEqual({ code: 0, output: "status 200" });
    expect(await check(503)).toEqual({ code: 1, output: "status 503" });
  });

  it("is ill where nobody answers", async () => {
    const program = start(["docker/healthcheck.js"], { PORT: String(await freePort()) });
    expect(await program.exit).toBe(1);
    expect(program.output()).toContain("ECONNREFUSED");
  });
});

describe("docker/signals.ts", () => {
  const run = (script: string) =>
    start(["--import", "./docker/signals.ts", "--eval", `${script}; console.log("up")`]);

  it("ends a process that doesn't listen yet", async () => {
    const program = run("setInterval(() => {}, 1000)");
    await program.wrote("up");
    program.child.kill("SIGTERM");
    expect(await program.exit).toBe(143);
  });

  it("leaves it to the broker once that listens", async () => {
    const program = run(
      'process.on("SIGTERM", () => setImmediate(() => process.exit(7))); setInterval(() => {}, 1000)',
    );
    await program.wrote("up");
    program.child.kill("SIGTERM");
    expect(await program.exit).toBe(7);
  });
});
