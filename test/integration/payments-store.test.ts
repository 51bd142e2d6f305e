import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { loadConfig } from "../../lib/config.ts";
import { newId } from "../../lib/ids.ts";
import { sequelizeOf } from "../../lib/stores/connect.ts";
import { Database, type Tx } from "../../lib/stores/database.ts";
import { PaymentStore } from "../../services/payments/payment-store.ts";
import { eventually } from "../helpers/client.ts";
import { TEST_ENV } from "../helpers/env.ts";
import { createDatabase } from "../helpers/shop.ts";

/** Stops before the end of each transaction that runs such a statement, until it is told to go on. */
class Pausing extends Database {
  readonly done: Promise<void>;
  readonly goOn: () => void;
  readonly #statement: string;
  readonly #reached: () => void;
  readonly #released: Promise<void>;

  constructor(db: Database, statement: string) {
    super(db.sequelize);
    this.#statement = statement;
    [this.done, this.#reached] = gate();
    [this.#released, this.goOn] = gate();
  }

  override async rows<R extends object>(
    text: string,
    values: readonly unknown[] = [],
    tx?: Tx,
  ): Promise<R[]> {
    if (!text.includes(this.#statement)) return await super.rows<R>(text, values, tx);
    if (!tx) return await this.transaction((own) => this.rows<R>(text, values, own));
    const rows = await super.rows<R>(text, values, tx);
    this.#reached();
    await this.#released;
    return rows;
  }
}

function gate(): [Promise<void>, () => void] {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return [opened, () => open()];
}

let db: Database;
let store: PaymentStore;

beforeAll(async () => {
  const url = await createDatabase();
  const config = loadConfig({ ...TEST_ENV, DATABASE_URL: url, JWT_SECRET: "x".repeat(32) });
  db = new Database(sequelizeOf(url, config));
  store = new PaymentStore(db, 1_000);
});
afterAll(async () => await db.sequelize.close());

function attempt(order_id = newId(), n = 1) {
  return {
    id: newId(),
    key: `${order_id}:charge:${n}`,
    order_id,
    user_id: newId(),
    amount: 2999,
    currency: "EUR",
    provider: "sandbox",
  };
}

async function opened(payment = attempt()) {
  const row = await store.open(payment);
  if (!row) throw new Error("The attempt could not begin");
  return row;
}

/** Whether one statement waits for an order's lock. */
async function somebodyWaits(): Promise<boolean> {
  const waiting = await db.rows(
    `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  return waiting.length === 1;
}

describe("open", () => {
  test("begins one attempt of an order, however many try at once", async () => {
    const orderId = newId();
    const rows = await Promise.all(Array.from({ length: 20 }, (_, n) => store.open(attempt(orderId, n % 5))));
    expect(rows.filter((row) => row !== undefined)).toHaveLength(1);
  });

  test("and a tombstone never miss each other: one that comes between waits, and then marks the attempt", async () => {
    const pausing = new Pausing(db, "payments.open_attempt");
    const payment = attempt();
    const opening = new PaymentStore(pausing, 1_000).open(payment);
    await pausing.done;
    const cancelling = store.cancelOrder(payment.order_id, "x");
    await eventually(somebodyWaits);
    pausing.goOn();
    expect(await opening).toMatchObject({ status: "processing", cancelled: false });
    await cancelling;
    expect(await store.get(payment.id)).toMatchObject({ status: "processing", cancelled: true });
    expect(await store.open(attempt(payment.order_id, 2))).toBeUndefined();
  });

  test("waits for a tombstone under way, and then doesn't begin", async () => {
    const pausing = new Pausing(db, "INSERT INTO payments.cancelled_orders");
    const payment = attempt();
    const cancelling = new PaymentStore(pausing, 1_000).cancelOrder(payment.order_id, "x");
    await pausing.done;
    const opening = store.open(payment);
    await eventually(somebodyWaits);
    pausing.goOn();
    await cancelling;
    expect(await opening).toBeUndefined();
    expect(await store.byKey(payment.key)).toBeUndefined();
  });
});

describe("requests", () => {
  test("only one can take the right to send the next", async () => {
    const first = await opened();
    const taken = await Promise.all(Array.from({ length: 10 }, () => store.nextRequest(first)));
    expect(taken.filter((row) => row !== undefined)).toEqual([expect.objectContaining({ requests: 2 })]);
  });

  test("are not sent any more for a cancelled order, or an attempt that has ended", async () => {
    const cancelled = await opened();
    await store.cancelOrder(cancelled.order_id, "x");
    expect(await store.nextRequest(cancelled)).toBeUndefined();
    const ended = await store.end(await opened(), { status: "failed" });
    expect(await store.nextRequest(ended)).toBeUndefined();
  });
});

describe("end", () => {
  test("that nothing was captured is void once another request was sent", async () => {
    const first = await opened();
    const second = await store.nextRequest(first);
    for (const status of ["failed", "voided"] as const) {
      expect(await store.end(first, { status })).toMatchObject({ status: "processing" });
    }
    expect(second && (await store.end(second, { status: "failed" }))).toMatchObject({ status: "failed" });
  });

  test("what the provider said of the key counts, whoever asked", async () => {
    const first = await opened();
    await store.nextRequest(first);
    const captured = await store.end(first, { status: "captured", provider_ref: "ch_1" });
    expect(captured).toMatchObject({ status: "captured", provider_ref: "ch_1" });
  });

  test("of two the first wins", async () => {
    const first = await opened();
    await store.end(first, { status: "voided" });
    const late = await store.end(first, { status: "captured", provider_ref: "ch_2" });
    expect(late).toMatchObject({ status: "voided", provider_ref: null });
  });
});

describe("checks", () => {
  test("of a payment that is due come to one node, and end when nothing is left to do", async () => {
    const captured = await store.end(await opened(), { status: "captured", provider_ref: "ch_3" });
    const failed = await store.end(await opened(), { status: "failed" });
    const mine = (rows: { id: string }[]) =>
      rows.map(({ id }) => id).filter((id) => id === captured.id || id === failed.id);
    expect(mine(await store.takeDue(100))).toEqual([]);

    await store.checkNow(failed.id);
    const taken = await Promise.all([store.takeDue(100), store.takeDue(100), store.takeDue(100)]);
    expect(mine(taken.flat())).toEqual([failed.id]);
    // Asked for again while it is looked at: it must not be forgotten.
    await store.checkNow(failed.id);
    await store.leave(failed.id);
    expect(mine(await store.takeDue(100))).toEqual([failed.id]);
    await store.leave(failed.id);
    const checkAt = "SELECT check_at FROM payments.payments WHERE id = $1";
    expect(await db.one(checkAt, [failed.id])).toEqual({ check_at: null });
  });
});
