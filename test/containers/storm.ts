import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { parseArgs, promisify } from "node:util";
import { type Answer, givenProduct, givenUser, send } from "../helpers/client.ts";

/**
 * Buyers who order through the front door of a running shop, while something is done to it:
 *
 *   node test/containers/storm.ts --url http://127.0.0.1:8080 --orders 200 [--midway "docker kill …"]
 *
 * Half of the way the `--midway` command is run. A request that gets no answer, or one that says "not now", is repeated under its
 * idempotency key, as any client should. In the end each order must stand there once, confirmed, and the stock must agree.
 */

const BUYERS = 8;
const STOCK = 100_000;
/** ms that a buyer keeps trying: more than a lease, a heartbeat and a restart together. */
const PATIENCE = 90_000;

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    orders: { type: "string", default: "100" },
    midway: { type: "string" },
  },
});
const shop = { url: values.url ?? "http://127.0.0.1:8080" };
const wanted = Number(values.orders);

interface Placed {
  id: string;
  tries: number;
  ms: number;
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause ? String(error.cause) : String(error);
}

/** Sends until there is an answer that is final. */
async function insist(send: () => Promise<Answer>): Promise<{ answer: Answer; tries: number }> {
  const deadline = Date.now() + PATIENCE;
  for (let tries = 1; ; tries++) {
    const answer = await send().catch((error: unknown) => reasonOf(error));
    const isFinal =
      typeof answer !== "string" &&
      answer.status < 500 &&
      answer.status !== 429 &&
      answer.at("code") !== "IDEMPOTENCY_IN_PROGRESS";
    if (isFinal) return { answer, tries };
    if (Date.now() > deadline)
      throw new Error(
        `No final answer in ${PATIENCE} ms: ${typeof answer === "string" ? answer : answer.status}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function place(token: string, product_id: number): Promise<Placed> {
  const headers = { "Idempotency-Key": randomUUID() };
  const body = {
    items: [{ product_id, quantity: 1 }],
    shipping_address: {
      street_address: "1 Main St",
      city: "Oslo",
      state: "Oslo",
      postal_code: "0150",
      country: "NO",
    },
    payment_method: "pm_card_visa",
  };
  const started = performance.now();
  const { answer, tries } = await insist(() => send(shop, "POST", "/api/orders", body, { token, headers }));
  check(answer.status === 201, `An order was refused: ${answer.status} ${JSON.stringify(answer.body)}`);
  return { id: String(answer.at("order", "id")), tries, ms: performance.now() - started };
}

const { ADMIN_EMAIL: email = "", ADMIN_PASSWORD: password = "" } = process.env;
const login = await send(shop, "POST", "/api/auth/login", { email, password });
check(login.status === 200, `The admin's login answered ${login.status}`);
const admin = String(login.at("access_token"));
const product = await givenProduct(shop, admin, { name: "Storm lantern", stock_quantity: STOCK });
const buyers = await Promise.all(Array.from({ length: BUYERS }, () => givenUser(shop)));

const placed: Placed[] = [];
let begun = 0;
let incident: Promise<unknown> | undefined;
const started = performance.now();
await Promise.all(
  buyers.map(async ({ token }) => {
    while (begun < wanted) {
      begun += 1;
      if (begun === Math.ceil(wanted / 2) && values.midway)
        incident = promisify(execFile)("sh", ["-c", values.midway]);
      placed.push(await place(token, product));
    }
  }),
);
await incident;
const seconds = (performance.now() - started) / 1000;

const ids = new Set(placed.map(({ id }) => id));
check(ids.size === wanted, `${wanted} keys made ${ids.size} orders`);
let found = 0;
for (const { token } of buyers) {
  for (let page = 1, pages = 1; page <= pages; page++) {
    const { answer } = await insist(() =>
      send(shop, "GET", `/api/orders?limit=100&page=${page}`, undefined, { token }),
    );
    pages = Number(answer.at("pagination", "pages"));
    const orders = answer.at("orders");
    check(Array.isArray(orders), `The list of orders answered ${answer.status}`);
    for (let i = 0; Array.isArray(orders) && i < orders.length; i++) {
      const id = String(answer.at("orders", i, "id"));
      check(ids.has(id), `The order ${id} was made behind its buyer's back`);
      check(
        answer.at("orders", i, "status") === "confirmed",
        `The order ${id} is ${answer.at("orders", i, "status")}`,
      );
      found += 1;
    }
  }
}
check(found === wanted, `Of ${wanted} orders ${found} are listed`);
const { answer: level } = await insist(() => send(shop, "GET", `/api/products/${product}`));
const left = Number(level.at("stock_quantity"));
check(left === STOCK - wanted, `${STOCK - left} were taken from the stock for ${wanted} orders`);

const times = placed.map(({ ms }) => ms).sort((a, b) => a - b);
const tries = placed.reduce((sum, one) => sum + one.tries, 0);
const at = (share: number) => Math.round(times[Math.floor((times.length - 1) * share)] ?? 0);
console.log(
  `${wanted} orders in ${seconds.toFixed(1)} s, ${tries - wanted} repeated requests; ` +
    `median ${at(0.5)} ms, 99% ${at(0.99)} ms, slowest ${at(1)} ms; each there once, confirmed, and the stock agrees`,
);
