/**
 * The floor of a checkout: what it comes to if one process sends the four transactions that no shop can do without
 * straight to Postgres, on a bare pool of `pg`. The tables are the shop's own, with their indexes and constraints.
 *
 *  1. the order, its two items, the job that would take over
 *  2. the reservation, both stock levels where there is enough, the reservation's items
 *  3. the payment
 *  4. the order confirmed, its job removed
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import pg from "pg";
import { newId } from "../../lib/ids.ts";
import { sequelizeOf } from "../../lib/stores/connect.ts";
import { Database } from "../../lib/stores/database.ts";
import { migrate } from "../../lib/stores/migrate.ts";
import { migrations as inventory } from "../../services/inventory/migrations/index.ts";
import { migrations as orders } from "../../services/orders/migrations/index.ts";
import { migrations as payments } from "../../services/payments/migrations/index.ts";
import { type Round, roundOf, twoOf } from "../load.ts";
import { PRODUCTS } from "../shop.ts";

const PRODUCT_IDS = Array.from({ length: PRODUCTS }, (_, index) => index + 1);
const STOCK = 1_000_000;

export interface SqlFloor {
  run: (seconds: number) => Promise<Round>;
  stop: () => void;
}

/** Makes the tables in an empty database. */
export async function prepareSql(url: string): Promise<void> {
  const db = new Database(sequelizeOf(url, { DATABASE_POOL: 2, DATABASE_TIMEOUT: 30_000 }));
  await migrate(db, "orders", orders);
  await migrate(db, "inventory", inventory);
  await migrate(db, "payments", payments);
  await db.rows(
    `INSERT INTO inventory.levels (product_id, on_hand, received) SELECT id, $1::integer, $1 FROM generate_series(1, $2::integer) AS id
     RETURNING product_id`,
    [STOCK, PRODUCTS],
  );
  await db.sequelize.query(
    `CREATE TABLE public.jobs (id uuid PRIMARY KEY, name text NOT NULL, data jsonb NOT NULL, start_after timestamptz NOT NULL);
     CREATE INDEX jobs_due ON public.jobs (name, start_after)`,
  );
  await db.sequelize.close();
}

/**
 * Starts the floor in a process of its own.
 * @param prepared whether each statement is planned once a connection (`pg`'s named statements) or at each use
 */
export async function startSql(url: string, buyers: number, prepared: boolean): Promise<SqlFloor> {
  const args = [import.meta.filename, url, String(buyers), prepared ? "prepared" : "plain"];
  const child: ChildProcess = spawn(process.execPath, args, {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(child, "message");
  return {
    async run(seconds) {
      child.send(seconds);
      const [{ times, errors }]: [{ times: number[]; errors: number }] = JSON.parse(
        JSON.stringify(await once(child, "message")),
      );
      return roundOf(times, seconds, errors);
    },
    stop: () => child.kill("SIGKILL"),
  };
}

/** Sends one statement: its parameters after it. */
type Send = (text: string, ...values: unknown[]) => Promise<pg.QueryResult>;

function senderOf(client: pg.Pool | pg.PoolClient, prepared: boolean): Send {
  return (text, ...values) =>
    client.query(
      prepared && values.length > 0 ? { name: text.slice(0, 60), text, values } : { text, values },
    );
}

async function checkout(pool: pg.Pool, prepared: boolean): Promise<void> {
  const [order, user, job, payment] = [newId(), newId(), newId(), newId()];
  const [first, second] = twoOf(PRODUCT_IDS);
  await transaction(pool, prepared, async (send) => {
    await send(
      `INSERT INTO orders.orders (id, number, user_id, status, currency, subtotal, shipping, tax, total, shipping_address)
       VALUES ($1, 'MC-' || nextval('orders.order_number'), $2, 'pending', 'EUR', 5998, 0, 0, 5998, $3)`,
      order,
      user,
      JSON.stringify({ text: "12 Analytical Row, London" }),
    );
    await send(
      `INSERT INTO orders.items (order_id, product_id, sku, name, unit_price, quantity)
       VALUES ($1, $2, 'SKU-1', 'Coffee maker', 2999, 1), ($1, $3, 'SKU-2', 'Coffee grinder', 2999, 1)`,
      order,
      first,
      second,
    );
    await send(
      "INSERT INTO public.jobs (id, name, data, start_after) VALUES ($1, 'orders-saga', $2, now() + interval '8 s')",
      job,
      JSON.stringify({ saga_id: order }),
    );
  });
  await transaction(pool, prepared, async (send) => {
    await send(
      "INSERT INTO inventory.reservations (order_id, state, expires_at) VALUES ($1, 'reserved', now() + interval '900 s')",
      order,
    );
    for (const product of [first, second]) {
      const { rowCount } = await send(
        "UPDATE inventory.levels SET reserved = reserved + 1 WHERE product_id = $1 AND on_hand - reserved >= 1",
        product,
      );
      if (rowCount !== 1) throw new Error("Sold out");
    }
    await send(
      "INSERT INTO inventory.reservation_items (order_id, product_id, quantity) VALUES ($1, $2, 1), ($1, $3, 1)",
      order,
      first,
      second,
    );
  });
  await senderOf(pool, prepared)(
    `INSERT INTO payments.payments (id, key, order_id, user_id, amount, currency, provider, status, provider_ref)
     VALUES ($1, $2, $3, $4, 5998, 'EUR', 'floor', 'captured', $2)`,
    payment,
    `${order}:charge:1`,
    order,
    user,
  );
  await transaction(pool, prepared, async (send) => {
    await send(
      "UPDATE orders.orders SET status = 'confirmed', payment_id = $2, updated_at = now() WHERE id = $1 AND status = 'pending'",
      order,
      payment,
    );
    await send("DELETE FROM public.jobs WHERE id = $1", job);
  });
}

async function transaction(
  pool: pg.Pool,
  prepared: boolean,
  work: (send: Send) => Promise<void>,
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await work(senderOf(client, prepared));
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

async function run(pool: pg.Pool, buyers: number, prepared: boolean, seconds: number) {
  const end = performance.now() + seconds * 1000;
  const times: number[] = [];
  let errors = 0;
  const buyer = async () => {
    for (let start = performance.now(); start < end; start = performance.now()) {
      try {
        await checkout(pool, prepared);
        if (performance.now() < end) times.push(performance.now() - start);
      } catch {
        errors++;
      }
    }
  };
  await Promise.all(Array.from({ length: buyers }, buyer));
  return { times, errors };
}

if (process.argv[1] === import.meta.filename) {
  const [, , url, buyers, kind] = process.argv;
  const pool = new pg.Pool({ connectionString: url, max: Number(buyers) });
  process.on("message", (seconds) => {
    void run(pool, Number(buyers), kind === "prepared", Number(seconds)).then((result) =>
      process.send?.(result),
    );
  });
  process.once("disconnect", () => process.exit());
  process.send?.("ready");
}
