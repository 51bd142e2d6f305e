import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { settingsOf, showConfig } from "../../cli/actions/config.ts";
import { clock, dataDirectory, doctor, nodeVersion, secretsFile } from "../../cli/actions/doctor.ts";
import { health } from "../../cli/actions/health.ts";
import { openDocs } from "../../cli/actions/open.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { act, adminOf, withDirectory } from "./support.ts";

let shop: Shop;
let env: Record<string, string>;
beforeAll(async () => {
  shop = await startShop();
  env = adminOf(shop);
});
afterAll(() => shop?.stop());

describe("molecart health", () => {
  it("tells of each service and node, the stores, the jobs and the sagas", async () => {
    const run = await act((io) => health({ json: true, interval: 1 }, io), { env });
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.json()).toMatchObject({
      ok: true,
      status: "healthy",
      url: shop.url,
      services: { orders: { status: "healthy", instances: 1, ready: 1, versions: ["0.1.0"] } },
      gateway: { latency_ms: expect.any(Number), ready: true, failing: [] },
      nodes: [
        {
          id: shop.broker.nodeID,
          state: "ready",
          figures: { uptime_s: expect.any(Number), event_loop_lag_ms: expect.any(Number) },
        },
      ],
      stores: expect.arrayContaining([
        { name: "postgres", up: true, latency_ms: expect.any(Number), failing: [] },
      ]),
      jobs: { dead: 0, oldest_s: expect.any(Number) },
      sagas: { running: 0, parked: 0 },
    });
    const text = await act((io) => health({ interval: 1 }, io), { env });
    expect(text.stdout).toMatch(new RegExp(`^✓  ${shop.broker.nodeID}  ready  .* [MG]B  .* 10$`, "m"));
    expect(text.stdout).toMatch(/^✓ {2}orders +healthy +1 of 1 +0\.1\.0 /m);
    expect(text.stdout).toMatch(/^stores +postgres ✓ [\d.]+ ms · files ✓|^stores +files ✓ .* · postgres ✓/m);
  });

  it("needs no login", async () => {
    const run = await act((io) => health({ url: shop.url, interval: 1 }, io));
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toMatch(/^http:\/\/127.0.0.1:\d+: healthy\n/);
    expect(run.stdout).not.toContain("stores");
    expect(run.stdout).toContain("note     You are not logged in");
  });

  it("watches in NDJSON until Ctrl-C, also while the shop goes away", async () => {
    const other = await startShop();
    const stop = new AbortController();
    let stopping: Promise<void> | undefined;
    const run = await act((io) => health({ watch: true, json: true, interval: 0.05 }, io), {
      env: adminOf(other),
      signal: stop.signal,
      seen: (stdout) => {
        if (stdout.includes('"status":"healthy"')) stopping ??= other.stop();
        if (stdout.includes('"status":"down"')) stop.abort();
      },
    });
    await stopping;
    expect(run).toMatchObject({ code: 1, stderr: "" });
    const states = run.lines().map((line) => Object(line).status);
    expect([states[0], states.at(-1)]).toEqual(["healthy", "down"]);
  });

  it("fails when checkout can't work, and says which part is away", async () => {
    const broken = await startShop();
    try {
      await broken.broker.destroyService("payments");
      const run = await act((io) => health({ json: true, interval: 1 }, io), { env: adminOf(broken) });
      expect(run.code).toBe(1);
      expect(run.json()).toMatchObject({
        ok: false,
        status: "unhealthy",
        services: { payments: { instances: 0 } },
      });
      const text = await act((io) => health({ interval: 1 }, io), { env: adminOf(broken) });
      expect(text.stdout).toContain("unhealthy: checkout can't work\n");
      expect(text.stdout).toMatch(/✗ {2}payments +unhealthy +0 of 0 /);
    } finally {
      await broken.stop();
    }
  });
});

describe("molecart doctor", () => {
  it("finds nothing wrong with a shop in order", async () => {
    await withDirectory(async (DATA_DIR) => {
      const run = await act((io) => doctor({ json: true }, io), { env: { ...env, DATA_DIR } });
      expect(run).toMatchObject({ code: 0, stderr: "" });
      const { ok, findings } = Object(run.json());
      expect(ok).toBe(true);
      expect(findings.map((finding: object) => Object(finding).check)).toEqual([
        "Node",
        "configuration",
        "DATA_DIR",
        "secrets",
        "logins",
        "port",
        "shop",
        "clock",
        "services",
      ]);
    });
  });

  it("says what is wrong and what to do", async () => {
    await withDirectory(async (DATA_DIR) => {
      const secrets = join(DATA_DIR, "secrets.json");
      await writeFile(secrets, "{}", { mode: 0o644 });
      await chmod(secrets, 0o644);
      const run = await act((io) => doctor({ url: "http://127.0.0.1:9" }, io), {
        env: { DATA_DIR, PORT: "no" },
      });
      expect(run.code).toBe(1);
      expect(run.stdout).toContain(`✗ secrets        ${secrets} can be read by others (mode 644)\n`);
      expect(run.stdout).toContain(`→ chmod 600 ${secrets}\n`);
      expect(run.stdout).toMatch(/✗ configuration .*PORT must be a whole number/);
      expect(run.stdout).toMatch(/✗ shop +No shop answers/);
    });
  });

  it("knows Node's versions, clocks, and files that are not there yet", async () => {
    expect(nodeVersion("20.1.0")).toMatchObject({ status: "fail" });
    expect(nodeVersion("24.0.0")).toMatchObject({ status: "ok" });
    const now = Date.parse("2026-11-20T10:00:00Z");
    const at = (seconds: number) => new Date(now + seconds * 1000).toUTCString();
    expect(clock(at(0), now, now + 10)).toMatchObject({ status: "ok" });
    expect(clock(at(90), now, now + 10)).toMatchObject({
      status: "fail",
      message: expect.stringContaining("90 s ahead of"),
    });
    expect(clock(at(-91), now, now + 10)).toMatchObject({
      status: "fail",
      message: expect.stringContaining("90 s behind"),
    });
    expect(clock(null, now, now)).toMatchObject({ status: "warn" });
    await withDirectory(async (directory) => {
      const none = { DATA_DIR: join(directory, "none") };
      expect(await dataDirectory(none)).toMatchObject({ status: "ok" });
      expect(await secretsFile(none)).toMatchObject({ status: "ok" });
      await mkdir(none.DATA_DIR);
      expect(await dataDirectory(none)).toMatchObject({ status: "ok" });
    });
  });
});

describe("molecart config show", () => {
  it("masks what is secret", () => {
    const settings = settingsOf({
      DATABASE_URL: "postgres://shop:hunter2@db:5432/shop",
      MONGO_URL: "mongodb://root:hunter2@a:1,b:2/molecart",
      SMTP_URL: "smtps://shop%40a.example:hunter2@mail:465",
      MAIL_FROM: "shop@a.example",
      NATS_URL: "nats://shop:hunter2@nats:4222,shop:hunter2@nats:4223,nats://hunter2@nats:4224,nats:4225",
      JWT_SECRET: "hunter2hunter2hunter2hunter2hunter2",
      ADMIN_EMAIL: "a@example.com",
      ADMIN_PASSWORD: "hunter22",
      OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=hunter2,x-team=hunter2",
      PORT: "9000",
    });
    expect(JSON.stringify(settings)).not.toContain("hunter2");
    expect(settings).toMatchObject({
      PORT: 9000,
      DATABASE_URL: "postgres://shop:********@db:5432/shop",
      MONGO_URL: "mongodb://root:********@a:1,b:2/molecart",
      SMTP_URL: "smtps://shop%40a.example:********@mail:465",
      NATS_URL: [
        "nats://shop:********@nats:4222",
        "shop:********@nats:4223",
        "nats://********@nats:4224",
        "nats:4225",
      ],
      ADMIN_EMAIL: "a@example.com",
      OTEL_EXPORTER_OTLP_HEADERS: { "x-api-key": "********", "x-team": "********" },
    });
  });

  it("shows lists and headers in a line each", async () => {
    const env = { OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=hunter2", CORS_ORIGINS: "https://a.example" };
    const { stdout } = await act((io) => showConfig({}, io), { env });
    expect(stdout).toMatch(/^OTEL_EXPORTER_OTLP_HEADERS +x-api-key=\*{8}$/m);
    expect(stdout).toMatch(/^CORS_ORIGINS +https:\/\/a\.example$/m);
  });

  it("says all that is wrong", () => {
    expect(() => settingsOf({ PORT: "x", LOG_LEVEL: "loud" })).toThrow(/PORT.*\n.*LOG_LEVEL/);
  });
});

describe("molecart open docs", () => {
  it("prints the address where there is no terminal", async () => {
    const run = await act((io) => openDocs({}, io), { env });
    expect(run).toMatchObject({ code: 0, stdout: `${shop.url}/api/docs\n`, stderr: "" });
  });
});
