import { setTimeout as delay } from "node:timers/promises";
import { newId } from "../../../lib/ids.ts";
import type { Database } from "../../../lib/stores/database.ts";
import type {
  ChargeRequest,
  FinalCharge,
  FinalRefund,
  PaymentProvider,
  ProviderEvent,
  RefundRequest,
  Unavailable,
} from "./provider.ts";
import { readSandboxWebhook } from "./sandbox-webhook.ts";

/** What a test method does when it is charged. */
interface Behaviour {
  /** ms until it acts. */
  latency: number;
  declines?: string;
  /** Captures, and then says nothing. */
  silent?: boolean;
  /** Can't be reached. */
  down?: boolean;
}

const LATENCY = 5;

const METHODS = new Map<string, Behaviour>(
  Object.entries({
    pm_card_visa: { latency: LATENCY },
    pm_card_mastercard: { latency: LATENCY },
    pm_card_amex: { latency: LATENCY },
    pm_card_chargeDeclined: { latency: LATENCY, declines: "card_declined" },
    pm_card_chargeDeclinedInsufficientFunds: { latency: LATENCY, declines: "insufficient_funds" },
    pm_sandbox_timeout_after_capture: { latency: LATENCY, silent: true },
    pm_sandbox_unavailable: { latency: LATENCY, down: true },
    pm_sandbox_slow: { latency: 3_000 },
  }),
);

interface ChargeRow {
  ref: string;
  declined: string | null;
}

/**
 * A payment provider that moves no money. It stands for an outside system: it keeps its own books under its own
 * transactions, so that whatever becomes of the shop's, `audit` can hold the two against each other.
 */
export class Sandbox implements PaymentProvider {
  readonly name = "sandbox";
  readonly settlesWithin = 1_000;
  readonly #db: Database;
  readonly #secret: string;

  /** @param secret signs its webhooks */
  constructor(db: Database, secret: string) {
    this.#db = db;
    this.#secret = secret;
  }

  async charge(request: ChargeRequest, signal: AbortSignal): Promise<FinalCharge | Unavailable> {
    const behaviour = METHODS.get(request.paymentMethod);
    if (!behaviour) return { kind: "invalid_method" };
    await delay(behaviour.latency, undefined, { signal });
    if (behaviour.down) return { kind: "unavailable" };
    signal.throwIfAborted();

    const { key, orderId, amount, currency } = request;
    // Doesn't wait for the disk: the payment's own row, written after it, does, and flushes this with it. Lost without
    // that row, it is a charge that was never made.
    const booked = await this.#db.one<ChargeRow>(
      `INSERT INTO payments.sandbox_charges (key, ref, order_id, amount, currency, declined)
       SELECT $1, $2, $3, $4::integer, $5, $6::text FROM (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed
       ON CONFLICT (key) DO NOTHING RETURNING ref, declined`,
      [key, `ch_${newId()}`, orderId, amount, currency, behaviour.declines ?? null],
    );
    if (booked && behaviour.silent) await silence(signal);
    const charge = booked ? finalCharge(booked) : await this.lookupCharge(key);
    if (!charge) throw new Error(`The sandbox has lost the charge ${key}`);
    return charge;
  }

  async lookupCharge(key: string): Promise<FinalCharge | undefined> {
    const row = await this.#db.one<ChargeRow>(
      "SELECT ref, declined FROM payments.sandbox_charges WHERE key = $1",
      [key],
    );
    return row && finalCharge(row);
  }

  async refund({ key, chargeRef, amount }: RefundRequest): Promise<FinalRefund> {
    return await this.#db.transaction(async (tx) => {
      // The lock makes the refunds of one charge queue up: together they can't exceed it.
      const charge = await this.#db.one<{ amount: number }>(
        "SELECT amount FROM payments.sandbox_charges WHERE ref = $1 AND declined IS NULL FOR UPDATE",
        [chargeRef],
        tx,
      );
      if (!charge) return { kind: "refused", reason: "no_such_charge" };
      const booked = await this.#db.one<{ ref: string }>(
        `INSERT INTO payments.sandbox_refunds (key, ref, charge_ref, amount)
         SELECT $1, $2, $3, $4::integer
         WHERE $4::integer <= $5::integer - (SELECT coalesce(sum(amount), 0) FROM payments.sandbox_refunds WHERE charge_ref = $3)
         ON CONFLICT (key) DO NOTHING RETURNING ref`,
        [key, `re_${newId()}`, chargeRef, amount, charge.amount],
        tx,
      );
      const row = booked ?? (await this.#refundRow(key, tx));
      return row ? { kind: "refunded", ref: row.ref } : { kind: "refused", reason: "exceeds_charge" };
    });
  }

  async lookupRefund(key: string): Promise<FinalRefund | undefined> {
    const row = await this.#refundRow(key);
    return row && { kind: "refunded", ref: row.ref };
  }

  readWebhook(rawBody: string, headers: Readonly<Record<string, string>>): ProviderEvent {
    return readSandboxWebhook(this.#secret, rawBody, headers);
  }

  #refundRow(key: string, tx?: Parameters<Database["one"]>[2]) {
    return this.#db.one<{ ref: string }>(
      "SELECT ref FROM payments.sandbox_refunds WHERE key = $1",
      [key],
      tx,
    );
  }
}

function finalCharge({ ref, declined }: ChargeRow): FinalCharge {
  return declined === null ? { kind: "captured", ref } : { kind: "declined", reason: declined };
}

/** Never answers: ends when the caller gives up. */
async function silence(signal: AbortSignal): Promise<never> {
  signal.throwIfAborted();
  return await new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
