import { Session } from "../../services/auth/auth.contract.ts";
import { ordersContract } from "../../services/orders/orders.contract.ts";
import type { Product } from "../../services/products/products.contract.ts";
import { sendOrder } from "../lib/checkout.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT, ShopRefused } from "../lib/errors.ts";
import { finishing, type Io } from "../lib/io.ts";
import { madeUpUser, seededEmail } from "../lib/made-up.ts";
import { patiently } from "../lib/patience.ts";
import { openMeter } from "../lib/progress.ts";
import { createRandom } from "../lib/random.ts";
import { inParallel } from "../lib/workers.ts";
import { ProductPage } from "./products.ts";
import type { Seeded, SeedOptions } from "./seed.ts";

/** Passwords are hashed, a few at once: more would only wait. */
const CONCURRENCY = 4;

type Options = Pick<SeedOptions, "users" | "orders" | "seed" | "json" | "userPassword">;

/** Of the seed, so that the next run can log in as them, too. */
const passwordOf = ({ seed, userPassword }: Options) => userPassword ?? `seeded-customer-${seed}`;

/** Registers the customers 1 to `--users` of a seed. Who is there stays as they are. */
export async function seedUsers(client: Client, options: Options, io: Io): Promise<Seeded> {
  const seeded: Seeded = { wanted: options.users, present: 0, created: 0, failed: 0 };
  const meter = await openMeter(io, { unit: "user", total: options.users, json: options.json });
  try {
    await inParallel(options.users, CONCURRENCY, io.signal, async (index) => {
      const body = { ...madeUpUser(options.seed, index), password: passwordOf(options) };
      const waiting = (seconds: number) =>
        meter.update(seeded.created + seeded.present, { note: `asked to wait ${seconds} s` });
      try {
        await patiently(
          () => client.request("POST", "/api/auth/register", Session, { body }),
          io.signal,
          waiting,
        );
        seeded.created++;
      } catch (error) {
        if (!(error instanceof ShopRefused) || error.code !== "EMAIL_TAKEN") throw error;
        seeded.present++;
      }
      meter.update(seeded.created + seeded.present);
    });
  } finally {
    await meter.end();
  }
  return seeded;
}

/**
 * Places the orders 1 to `--orders` of a seed; the n-th is of the customer n modulo `--users`, who places theirs one
 * after the other. So the number of synthetic orders a customer has says which of theirs are there.
 */
export async function seedOrders(client: Client, options: Options, io: Io): Promise<Seeded> {
  const { users, orders, seed } = options;
  const catalogue = await inStock(client);
  const seeded: Seeded = { wanted: orders, present: 0, created: 0, failed: 0 };
  const meter = await openMeter(io, { unit: "order", total: orders, json: options.json });
  const tell = (note?: string) =>
    meter.update(seeded.present + seeded.created + seeded.failed, { note, before: seeded.present });
  try {
    await inParallel(Math.min(users, orders), CONCURRENCY, io.signal, async (user) => {
      const wait = (seconds: number) => tell(`asked to wait ${seconds} s`);
      const token = await patiently(() => logInAs(client, options, user), io.signal, wait);
      const mine = Math.ceil((orders - user) / users);
      const present = Math.min(mine, await countOrders(client, token));
      seeded.present += present;
      for (let nth = present; nth < mine && !io.signal.aborted; nth++) {
        const body = orderBody(seed, nth * users + user, catalogue);
        const key = `seed-${seed}-${users}-${nth * users + user}`;
        try {
          await patiently(() => sendOrder(client, key, body, finishing(io).signal, token), io.signal, wait);
          seeded.created++;
        } catch (error) {
          // Somebody may have bought the last one.
          if (!(error instanceof ShopRefused) || error.status >= 500 || error.status === 401) throw error;
          seeded.failed++;
          if (seeded.failed === 1) io.say(error.message);
        }
        tell();
      }
    });
  } finally {
    await meter.end();
  }
  return seeded;
}

async function inStock(client: Client): Promise<Product[]> {
  const query = { in_stock: true, limit: 100, sort: "name" };
  const { products } = await client.request("GET", "/api/products", ProductPage, { query });
  if (products.length > 0) return products;
  throw new CliError("There is nothing to order in this shop.", {
    next: "Make some: molecart seed --products 100",
  });
}

async function logInAs(client: Client, options: Options, user: number): Promise<string> {
  const body = { email: seededEmail(options.seed, user), password: passwordOf(options) };
  try {
    return (await client.request("POST", "/api/auth/login", Session, { body })).access_token;
  } catch (error) {
    if (!(error instanceof ShopRefused) || error.status !== 401) throw error;
    throw new CliError(`${body.email} is there with another password.`, {
      exitCode: EXIT.failed,
      next: "Give it with --user-password, or take another --seed.",
    });
  }
}

/** How many synthetic orders the customer has, of whatever became of them. */
async function countOrders(client: Client, token: string): Promise<number> {
  const { result } = ordersContract.actions.list;
  let count = 0;
  for (let page = 1; ; page++) {
    const answer = await client.request("GET", "/api/orders", result, { query: { page, limit: 100 }, token });
    count += answer.orders.filter(({ synthetic }) => synthetic).length;
    if (page >= answer.pagination.pages) return count;
  }
}

function orderBody(seed: number, index: number, catalogue: readonly Product[]) {
  const random = createRandom(`order:${seed}:${index}`);
  const items = Array.from({ length: random.int(1, 3) }, () => ({
    product_id: random.pick(catalogue).id,
    quantity: random.int(1, 2),
  }));
  return {
    items,
    shipping_address: `${random.int(1, 99)} Analytical Row, London`,
    payment_method: "pm_card_visa",
    synthetic: true,
  };
}
