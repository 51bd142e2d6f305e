import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type Answer, send } from "../helpers/client.ts";
import { FakePeople } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const people = new FakePeople();
let shop: Shop;

beforeAll(async () => {
  shop = await startShop({ replace: people.services });
});
afterAll(async () => await shop.stop());

const get = (path: string, headers: Record<string, string> = {}) =>
  send(shop, "GET", path, undefined, { headers });

async function textOf(path: string): Promise<string> {
  return await (await fetch(`${shop.url}${path}`)).text();
}

describe("GET /api/openapi.json", () => {
  it("is the API's description, and is not sent twice to whom has it", async () => {
    const first = await get("/api/openapi.json");
    expect(first.status).toBe(200);
    expect(first.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(first.body).toMatchObject({ openapi: "3.1.0", info: { title: "Molecart API" } });
    const etag = String(first.headers.get("etag"));
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = await get("/api/openapi.json", { "if-none-match": known });
      expect([again.status, again.headers.get("etag"), again.body]).toEqual([304, etag, {}]);
    }
    expect((await get("/api/openapi.json", { "if-none-match": '"other"' })).status).toBe(200);
  });
});

describe("GET /api/docs", () => {
  const ASSETS: [string, string][] = [
    ["/api/docs", "text/html; charset=utf-8"],
    ["/api/docs/init.js", "text/javascript; charset=utf-8"],
    ["/api/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"],
    ["/api/docs/swagger-ui.css", "text/css; charset=utf-8"],
    ["/api/docs/favicon-32x32.png", "image/png"],
  ];

  it.each(ASSETS)("serves %s as %s", async (path, type) => {
    const { status, headers } = await get(path);
    expect([status, headers.get("content-type")]).toEqual([200, type]);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("etag")).toMatch(/^".{43}"$/);
    const policy = String(headers.get("content-security-policy"));
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
  });

  it("is a page without a script or a style in it, that loads nothing from elsewhere", async () => {
    const html = await textOf("/api/docs");
    const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]);
    expect(loaded.sort()).toEqual(
      ASSETS.map(([path]) => path)
        .slice(1)
        .sort(),
    );
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son\w+=|style=/);
    expect(await textOf("/api/docs/init.js")).toContain('url: "/api/openapi.json"');
  });

  it.each([
    "/api/docs/index.html",
    "/api/docs/swagger-ui-bundle.js.map",
    "/api/docs/package.json",
    "/api/docs/..%2f..%2fpackage.json",
    "/api/docs/%2e%2e/package.json",
    "/api/docs/swagger-ui.css/x",
  ])("has nothing else: %s", async (path) => {
    expect((await get(path)).body.code).toBe("ROUTE_NOT_FOUND");
  });
});

describe("GET /metrics", () => {
  const LINE =
    /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*",?)*\})? (-?[0-9.e+-]+|NaN|\+Inf)$/;

  async function count(labels: Record<string, string>): Promise<number> {
    const lines = (await textOf("/metrics")).split("\n");
    const found = lines.filter(
      (line) =>
        line.startsWith("molecart_http_request_duration_seconds_count{") &&
        Object.entries(labels).every(([name, value]) => line.includes(`${name}="${value}"`)),
    );
    return found.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  it("is Prometheus text", async () => {
    await get("/api/health/live");
    const { status, headers } = await get("/metrics");
    expect([status, headers.get("content-type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
    const lines = (await textOf("/metrics")).trimEnd().split("\n");
    expect(lines.filter((line) => !line.startsWith("#") && !LINE.test(line))).toEqual([]);
    const types = lines.filter((line) => line.startsWith("# TYPE ")).map((line) => line.split(" ")[2]);
    expect(new Set(types).size).toBe(types.length);
    expect(types).toEqual(
      expect.arrayContaining([
        "molecart_call_duration_seconds",
        "molecart_eventloop_delay_seconds",
        "molecart_http_request_duration_seconds",
      ]),
    );
  });

  it("has whole histograms: buckets that grow up to the count, and a sum", async () => {
    await get("/api/health/live");
    const lines = (await textOf("/metrics"))
      .split("\n")
      .filter((line) => line.includes('route="/api/health/live"'));
    const buckets = lines
      .filter((line) => line.includes("_bucket{"))
      .map((line) => Number(line.split(" ").at(-1)));
    expect(buckets.length).toBeGreaterThan(10);
    expect([...buckets].sort((a, b) => a - b)).toEqual(buckets);
    expect(buckets.at(-1)).toBe(await count({ route: "/api/health/live" }));
    expect(lines.some((line) => line.startsWith("molecart_http_request_duration_seconds_sum{"))).toBe(true);
  });

  it("counts by route, never by address", async () => {
    const token = people.add().token;
    const before = await count({ route: "/api/orders/:id", method: "GET", status: "422" });
    for (const id of ["secret-1", "secret-2", "secret-3"])
      await send(shop, "GET", `/api/orders/${id}?secret=1`, undefined, { token });
    expect(await count({ route: "/api/orders/:id", method: "GET", status: "422" })).toBe(before + 3);
    expect(await textOf("/metrics")).not.toContain("secret");
  });

  it("counts what isn't there as one, whatever it is asked for", async () => {
    const seriesOf = async () =>
      (await textOf("/metrics"))
        .split("\n")
        .filter((line) => line.startsWith("molecart_http_request_duration_seconds_count"));
    const ask = async (n: number): Promise<Answer[]> => [
      await get(`/wp-${n}.php`),
      await send(shop, "PROPFIND", `/x${n}`),
      await send(shop, "MKCOL", `/api/cart?${n}`),
    ];
    await ask(0);
    const before = await seriesOf();
    for (let n = 1; n <= 10; n++) await ask(n);
    const after = await seriesOf();
    expect(after).toHaveLength(before.length);
    expect(await count({ route: "unrouted", method: "GET", status: "404" })).toBeGreaterThanOrEqual(11);
    expect(await count({ method: "OTHER" })).toBeGreaterThanOrEqual(22);
  });

  it("tells nothing of the machine's user, addresses or arguments", async () => {
    const text = await textOf("/metrics");
    for (const name of ["username", "homedir", "process_arguments", "os_network", "os_hostname"])
      expect(text).not.toContain(name);
  });

  it("is elsewhere if it has a port of its own", async () => {
    const own = await startShop({ env: { METRICS_PORT: "9464" } });
    try {
      expect((await send(own, "GET", "/metrics")).body.code).toBe("ROUTE_NOT_FOUND");
    } finally {
      await own.stop();
    }
  });
});
