import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { givenUser } from "../test/helpers/client.ts";
import { SECRETS } from "../test/helpers/env.ts";
import { freePort, startNode } from "../test/helpers/node-process.ts";
import { checkouts, load } from "./load.ts";
import { type Contender, compare, type Figures } from "./measure.ts";
import { type Ground, openGround, type StockedShop, stocked } from "./shop.ts";

/**
 * What metrics and traces cost: the shop in one process, once without either, with metrics that are scraped, and with traces
 * of one request in ten and of all, sent to a collector that throws them away. `node bench/observability.ts`; takes three minutes.
 */

const TIMING = { warmup: 3, duration: 5, rounds: 3 };
const READERS = 32;
const BUYERS = 8;
/** ms, as docker-compose.yml's Prometheus does. */
const SCRAPE_EVERY = 10_000;

const say = (line: unknown) => process.stderr.write(`${line}\n`);

/** Takes what it is sent, in a process of its own. */
async function startSink(): Promise<{ child: ChildProcess; url: string }> {
  const program = `require("node:http").createServer((req, res) => {
    req.resume().on("end", () => res.writeHead(200, { "content-type": "application/json" }).end("{}"));
  }).listen(0, "127.0.0.1", function () { console.log(this.address().port); });`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = await once(createInterface(child.stdout), "line");
  return { child, url: `http://127.0.0.1:${port}` };
}

async function startShop(ground: Ground, name: string, env: Record<string, string>): Promise<StockedShop> {
  const node = await startNode({
    ...SECRETS,
    DATABASE_URL: await ground.database(name),
    DATABASE_POOL: "4",
    DATA_DIR: ground.dataDir(name),
    SEED: "none",
    RATE_LIMIT: "off",
    LOG_LEVEL: "warn",
    ...env,
  });
  const stop = async () => void (await node.kill("SIGTERM"));
  const pids = [node.process.pid ?? 0];
  return await stocked({ url: node.url, pids, stop });
}

function table(title: string, figures: readonly Figures[]): string {
  const [first] = figures;
  const rows = figures.map(({ name, rate, p50, p99, errors, cpu = 0 }) => {
    const share = first ? `${((rate / first.rate - 1) * 100).toFixed(0)} %` : "";
    return `| ${name} | ${rate.toFixed(0)} | ${share} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${cpu.toFixed(0)} | ${errors} |`;
  });
  return [
    `${title}\n`,
    "| | per s | | p50 ms | p99 ms | CPU µs | errors |",
    "|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}

const ground = await openGround();
const sink = await startSink();
const traced = (share: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
  OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
  OTEL_TRACES_SAMPLER_ARG: share,
});
const metrics = { METRICS_PORT: String(await freePort()) };
const shops = new Map<string, StockedShop>();
let scraper: NodeJS.Timeout | undefined;
try {
  shops.set("neither", await startShop(ground, "neither", {}));
  shops.set("metrics, scraped", await startShop(ground, "metrics", metrics));
  const scrape = async () => (await fetch(`http://127.0.0.1:${metrics.METRICS_PORT}/metrics`)).text();
  scraper = setInterval(() => void scrape().catch(say), SCRAPE_EVERY);
  shops.set("traces of one in ten", await startShop(ground, "tenth", traced("0.1")));
  shops.set("traces of all", await startShop(ground, "all", traced("1")));

  const reads = [...shops].map(([name, shop]): Contender => {
    const url = `${shop.url}/api/products/${shop.products[0]}`;
    return { name, pids: shop.pids, run: (seconds) => load({ url, connections: READERS, seconds }) };
  });
  console.log(table(`Cached product detail, ${READERS} connections`, await compare(reads, TIMING, say)));

  const orders: Contender[] = [];
  for (const [name, shop] of shops) {
    const users = await Promise.all(Array.from({ length: BUYERS }, () => givenUser(shop)));
    const next = checkouts(
      users.map(({ token }) => token),
      shop.products,
    );
    const run = (seconds: number) => load({ url: shop.url, connections: BUYERS, seconds, next });
    orders.push({ name, pids: shop.pids, run });
  }
  console.log(table(`\nPaid checkouts, ${BUYERS} buyers`, await compare(orders, TIMING, say)));
} finally {
  clearInterval(scraper);
  await Promise.all([...shops.values()].map((shop) => shop.stop()));
  sink.child.kill();
  await ground.close();
}
