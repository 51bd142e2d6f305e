/**
 * `node bench/start.ts [--orders <n>] [--json]`: how long `npm start` takes on an empty DATA_DIR and on one that was used,
 * from its call to the first `GET /health` answered by 200, and the memory of all its processes. Needs Linux and nothing
 * running. Run first in a clean clone after `npm ci`, it tells what a newcomer meets.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { readSecrets } from "../lib/embedded.ts";
import { givenUser, send } from "../test/helpers/client.ts";
import { freePort } from "../test/helpers/node-process.ts";
import { machine } from "./report.ts";

interface Figures {
  name: string;
  /** s from `npm start` to the first 200 of GET /health */
  ready: number;
  /** MB, of the shop's processes without npm itself */
  started: number;
  /** MB, after the orders */
  afterOrders: number;
}

/** Orders under way at once. */
const BUYERS = 16;

const { values } = parseArgs({
  options: { orders: { type: "string", default: "1000" }, json: { type: "boolean", default: false } },
});
const dataDir = await mkdtemp(join(tmpdir(), "molecart-start-"));
const results: Figures[] = [];
try {
  for (const name of ["empty DATA_DIR", "used DATA_DIR"])
    results.push(await measure(name, Number(values.orders)));
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
if (values.json) process.stdout.write(`${JSON.stringify({ machine: machine(), results }, null, 2)}\n`);
else
  for (const { name, ready, started, afterOrders } of results)
    process.stdout.write(
      `${name}: ready after ${ready.toFixed(2)} s; ${started} MB, ${afterOrders} MB after ${values.orders} orders\n`,
    );

async function measure(name: string, orders: number): Promise<Figures> {
  const port = String(await freePort());
  const url = `http://127.0.0.1:${port}`;
  const begun = performance.now();
  const npm = spawn("npm", ["start"], {
    cwd: resolve(import.meta.dirname, ".."),
    env: { ...process.env, PORT: port, DATA_DIR: dataDir, RATE_LIMIT: "off", LOG_LEVEL: "warn" },
    stdio: ["ignore", "ignore", "inherit"],
    // A process group, as below a terminal: npm doesn't pass a signal on to what it runs.
    detached: true,
  });
  const exited = once(npm, "exit");
  const pid = npm.pid ?? 0;
  try {
    while (!(await answers(url))) {
      if (npm.exitCode !== null) throw new Error("npm start has ended.");
      await delay(10);
    }
    const ready = (performance.now() - begun) / 1000;
    const started = await memoryBelow(pid);
    await order(url, orders);
    return { name, ready, started, afterOrders: await memoryBelow(pid) };
  } finally {
    process.kill(-pid, "SIGTERM");
    await exited;
    while (await answers(url)) await delay(100);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).status === 200;
  } catch {
    return false;
  }
}

async function order(url: string, orders: number): Promise<void> {
  const secrets = await readSecrets(dataDir);
  const login = { email: secrets?.ADMIN_EMAIL, password: secrets?.ADMIN_PASSWORD };
  const admin = String((await send({ url }, "POST", "/api/auth/login", login)).at("access_token"));
  const product = { name: "Coffee maker", price: 29.99, stock_quantity: orders };
  const { body } = await send({ url }, "POST", "/api/products", product, { token: admin });
  const { token } = await givenUser({ url });
  const checkout = {
    shipping_address: "12 Analytical Row",
    items: [{ product_id: body.id, quantity: 1 }],
    payment_method: "pm_card_visa",
  };
  let left = orders;
  const buyer = async () => {
    while (left-- > 0) {
      const { status } = await send({ url }, "POST", "/api/orders", checkout, { token });
      if (status !== 201) throw new Error(`An order was answered by ${status}.`);
    }
  };
  await Promise.all(Array.from({ length: BUYERS }, buyer));
}

/** MB of memory (PSS: what is shared counts once) of all processes below this one, itself left out. */
async function memoryBelow(root: number): Promise<number> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    const stat = /^\d+$/.test(name) ? await readFile(`/proc/${name}/stat`, "utf8").catch(() => "") : "";
    const parent = /.*\) \S (\d+)/.exec(stat)?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 0 && (parents.get(pid) === root || isBelow(parents.get(pid)));
  let kilobytes = 0;
  for (const pid of parents.keys()) {
    if (!isBelow(pid)) continue;
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return Math.round(kilobytes / 1024);
}
