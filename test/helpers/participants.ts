import type { ParamsOf } from "../../lib/contract.ts";
import { InsufficientStock, RefundRefused, ReservationReleased } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { defineService, type ServiceFactory } from "../../lib/service.ts";
import { cartContract } from "../../services/cart/cart.contract.ts";
import { inventoryContract } from "../../services/inventory/inventory.contract.ts";
import { type ChargeResult, paymentsContract } from "../../services/payments/payments.contract.ts";
import { productsContract } from "../../services/products/products.contract.ts";

/** The outcome of one request to a participant, as the network may bend it. */
export type Fault =
  /** It never arrives. */
  | "lost"
  /** It is done, but its answer never arrives. */
  | "unanswered"
  /** The payment provider refuses it, and it is not done. */
  | "refused";

const notHere = async (): Promise<never> => {
  throw new Error("This fake does not do that.");
};

/**
 * The participants of the checkout as small, honest fakes: they keep their promises (idempotent by key, tombstones),
 * and write down every command. `faults` bends the next requests for an action, in order.
 */
export class FakeParticipants {
  readonly commands: string[] = [];
  readonly faults = new Map<string, Fault[]>();
  /** How the next charges end; captured when empty. */
  readonly charges: ChargeResult["outcome"][] = [];
  readonly stock = new Map<number, number>();
  readonly reservations = new Map<string, "reserved" | "committed" | "released" | "returned">();
  /** What was asked for by each charge. */
  readonly wanted: Omit<ParamsOf<typeof paymentsContract.actions.charge>, "payment_method">[] = [];
  /** Minor units captured by order; negative never. */
  readonly captured = new Map<string, number>();
  readonly cart = new Map<
    string,
    { cart_id: string; oldest_revision: number; items: { product_id: number; quantity: number }[] }
  >();
  /** Runs before a cart is told of the order that was made of it. */
  onComplete: (cartId: string) => void = () => {};
  readonly #answers = new Map<string, ChargeResult>();
  readonly #held = new Map<string, Promise<void>>();

  /** Has the requests for an action wait from now on. @returns what lets them go */
  hold(action: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(action, promise);
    return () => {
      this.#held.delete(action);
      resolve();
    };
  }

  /** Bends the next requests for an action. */
  fail(action: string, ...faults: Fault[]): void {
    this.faults.set(action, faults);
  }

  async #request<T>(action: string, effect: () => T): Promise<T> {
    this.commands.push(action);
    await this.#held.get(action);
    const fault = this.faults.get(action)?.shift();
    if (fault === "lost") throw new Error("the network lost the request");
    if (fault === "refused") throw new RefundRefused({ reason: "disputed" });
    const answer = effect();
    if (fault === "unanswered") throw new Error("the network lost the answer");
    return answer;
  }

  services(): Record<string, ServiceFactory> {
    const request = this.#request.bind(this);
    const { reservations, stock, captured, charges, cart } = this;
    const answers = this.#answers;
    const reservation = (order_id: string, state: "reserved" | "committed" | "released" | "returned") => {
      reservations.set(order_id, state);
      return { order_id, state, expires_at: null };
    };

    const inventory = defineService(inventoryContract)({
      actions: {
        levels: notHere,
        changes: notHere,
        set: notHere,
        setMany: notHere,
        adjust: notHere,
        audit: notHere,
        auditOrders: notHere,
        undeliveredEvents: notHere,
        redriveEvents: notHere,
        queueFigures: notHere,
        reserve: async ({ params: { order_id, items } }) =>
          await request("reserve", () => {
            const state = reservations.get(order_id);
            if (state === "released" || state === "returned") throw new ReservationReleased({ order_id });
            if (state) return reservation(order_id, state);
            const short = items.filter((item) => (stock.get(item.product_id) ?? 100) < item.quantity);
            if (short.length > 0) {
              const shortages = short.map(({ product_id, quantity }) => ({
                product_id,
                requested: quantity,
                available: stock.get(product_id) ?? 100,
              }));
              throw new InsufficientStock({ items: shortages });
            }
            return reservation(order_id, "reserved");
          }),
        release: async ({ params: { order_id } }) =>
          await request("release", () => reservation(order_id, "released")),
        commit: async ({ params: { order_id } }) =>
          await request("commit", () => reservation(order_id, "committed")),
        giveBack: async ({ params: { order_id } }) =>
          await request("giveBack", () =>
            reservation(order_id, reservations.get(order_id) === "committed" ? "returned" : "released"),
          ),
      },
    });

    const payments = defineService(paymentsContract)({
      actions: {
        process: notHere,
        get: notHere,
        listByOrder: notHere,
        refund: notHere,
        webhook: notHere,
        audit: notHere,
        undeliveredEvents: notHere,
        redriveEvents: notHere,
        queueFigures: notHere,
        charge: async ({ params: { payment_method: _method, ...wanted } }) =>
          await request("charge", () => {
            const { key, order_id, amount } = wanted;
            this.wanted.push(wanted);
            const known = answers.get(key);
            if (known) return known;
            const outcome = charges.shift() ?? "captured";
            if (outcome === "captured") captured.set(order_id, (captured.get(order_id) ?? 0) + amount);
            const answer = {
              outcome,
              payment_id: outcome === "captured" ? newId() : null,
              provider: "fake",
              reason: null,
            };
            answers.set(key, answer);
            return answer;
          }),
        cancelOrder: async ({ params: { order_id } }) =>
          await request("cancelOrder", () => {
            const refunded = captured.get(order_id) ?? 0;
            captured.set(order_id, 0);
            return { refunded, payment: null };
          }),
      },
    });

    const products = defineService(productsContract)({
      actions: {
        list: notHere,
        get: notHere,
        create: notHere,
        update: notHere,
        remove: notHere,
        setStock: notHere,
        changeStock: notHere,
        import: notHere,
        categories: notHere,
        createCategory: notHere,
        updateCategory: notHere,
        removeCategory: notHere,
        count: notHere,
        lowStock: notHere,
        quote: async ({ params: { ids } }) =>
          ids
            .filter((id) => id < 1000)
            .map((id) => ({
              product_id: id,
              sku: `SKU-${id}`,
              name: `Product ${id}`,
              unit_price: id * 100,
              currency: "EUR",
            })),
      },
    });

    const carts = defineService(cartContract)({
      actions: {
        get: notHere,
        addItem: notHere,
        setItem: notHere,
        removeItem: notHere,
        clear: notHere,
        validate: notHere,
        merge: async () => null,
        forCheckout: async ({ params: { user_id } }) =>
          cart.get(user_id) ?? { cart_id: newId(), oldest_revision: 1, items: [] },
        complete: async ({ params: { user_id, cart_id } }) => {
          this.onComplete(cart_id);
          if (cart.get(user_id)?.cart_id === cart_id) cart.delete(user_id);
          return null;
        },
        onOrder: async () => null,
      },
    });
    return { inventory, payments, products, cart: carts };
  }
}
