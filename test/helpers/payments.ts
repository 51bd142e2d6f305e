import type { ServiceFactory } from "../../lib/service.ts";
import type { Database } from "../../lib/stores/database.ts";
import { paymentsService } from "../../services/payments/payments.service.ts";
import type {
  ChargeRequest,
  PaymentProvider,
  RefundRequest,
} from "../../services/payments/providers/provider.ts";
import { Providers, providersOf } from "../../services/payments/providers/registry.ts";
import { FakeOrders } from "./fake-orders.ts";
import { type Shop, startShop } from "./shop.ts";

type Charge = PaymentProvider["charge"];
type Refund = PaymentProvider["refund"];

/** The sandbox behind a provider that a test can make misbehave, order by order. */
export class UnreliableProvider implements PaymentProvider {
  readonly name: string;
  readonly settlesWithin = 300;
  readonly readWebhook: PaymentProvider["readWebhook"];
  readonly real: PaymentProvider;
  readonly db: Database;
  /** Every charge that was sent. */
  readonly sent: ChargeRequest[] = [];
  readonly #charges = new Map<string, (request: ChargeRequest, signal: AbortSignal) => ReturnType<Charge>>();
  #refund: ((request: RefundRequest, signal: AbortSignal) => ReturnType<Refund>) | undefined;

  #beforeChargeLookup: (key: string) => Promise<void> = async () => {};
  #refundLookupFails = false;

  constructor(real: PaymentProvider, db: Database) {
    this.real = real;
    this.db = db;
    this.name = real.name;
    this.readWebhook = (rawBody, headers) => real.readWebhook(rawBody, headers);
  }

  /** What the charges of this order meet from now on. */
  onCharge(orderId: string, behaviour: (request: ChargeRequest, signal: AbortSignal) => ReturnType<Charge>) {
    this.#charges.set(orderId, behaviour);
  }

  /** What the next refund meets. */
  onNextRefund(behaviour: (request: RefundRequest, signal: AbortSignal) => ReturnType<Refund>) {
    this.#refund = behaviour;
  }

  async charge(request: ChargeRequest, signal: AbortSignal): ReturnType<Charge> {
    this.sent.push(request);
    const behaviour = this.#charges.get(request.orderId);
    return behaviour ? await behaviour(request, signal) : await this.real.charge(request, signal);
  }

  /** What the look-up of any charge meets first, from now on. */
  beforeChargeLookup(behaviour: (key: string) => Promise<void>) {
    this.#beforeChargeLookup = behaviour;
  }

  failNextChargeLookup() {
    this.beforeChargeLookup(async () => {
      this.beforeChargeLookup(async () => {});
      throw new Error("no answer");
    });
  }

  async lookupCharge(key: string, signal: AbortSignal): ReturnType<PaymentProvider["lookupCharge"]> {
    await this.#beforeChargeLookup(key);
    return await this.real.lookupCharge(key, signal);
  }

  failNextRefundLookup() {
    this.#refundLookupFails = true;
  }

  async lookupRefund(key: string, signal: AbortSignal): ReturnType<PaymentProvider["lookupRefund"]> {
    const fails = this.#refundLookupFails;
    this.#refundLookupFails = false;
    if (fails) throw new Error("no answer");
    return await this.real.lookupRefund(key, signal);
  }

  async refund(request: RefundRequest, signal: AbortSignal): ReturnType<Refund> {
    const behaviour = this.#refund;
    this.#refund = undefined;
    return behaviour ? await behaviour(request, signal) : await this.real.refund(request, signal);
  }
}

/** The payments service with an {@link UnreliableProvider}, which `provider()` gives once the shop has been made. */
export function unreliablePayments(): { payments: ServiceFactory; provider: () => UnreliableProvider } {
  let made: UnreliableProvider | undefined;
  return {
    payments: paymentsService({
      makeProviders(config, db) {
        made = new UnreliableProvider(providersOf(config, db).active, db);
        return new Providers(made);
      },
      sweepEvery: 100,
    }),
    provider() {
      if (!made) throw new Error("Start the shop first.");
      return made;
    },
  };
}

/**
 * A shop whose payments have an {@link UnreliableProvider}, patient enough that no machine is too slow for it, and whose
 * orders are {@link FakeOrders}.
 */
export async function startPayments(): Promise<{
  shop: Shop;
  provider: UnreliableProvider;
  orders: FakeOrders;
}> {
  const unreliable = unreliablePayments();
  const orders = new FakeOrders();
  const shop = await startShop({
    env: PATIENT,
    replace: { payments: unreliable.payments, orders: orders.service() },
  });
  return { shop, provider: unreliable.provider(), orders };
}

/** A provider's time for an answer, which no test waits for. */
export const PATIENT = { PAYMENT_TIMEOUT: "10000" };
