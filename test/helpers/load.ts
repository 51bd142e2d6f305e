import { setTimeout as delay } from "node:timers/promises";
import type { TestUser } from "./client.ts";
import type { ClientLog } from "./client-log.ts";

interface LoadOptions {
  buyers: readonly TestUser[];
  products: readonly number[];
  /** ms that a buyer repeats what had no final answer. */
  patience?: number;
  /** ms between two orders of one buyer. */
  pause?: number;
  /** Orders in all; default: until it is stopped. */
  orders?: number;
  /** Looks around beside the orders. */
  reads?: boolean;
}

export interface Load {
  /** Resolves when `orders` have been placed, or it was stopped. */
  done: Promise<void>;
  /** Lets every buyer end what it does. */
  stop: () => Promise<void>;
}

/** ms until a buyer who gave up on an order begins another: who was told to come later doesn't order on at once. */
const PAUSE_AFTER_FAILURE = 1_000;

/**
 * Buyers who order one thing after the other, each of two products: every eighth order with a card that is declined,
 * every fifth buyer one who doesn't ask again after a failure.
 */
export function startLoad(
  log: ClientLog,
  {
    buyers,
    products,
    patience = 60_000,
    pause = 150,
    orders = Number.POSITIVE_INFINITY,
    reads = false,
  }: LoadOptions,
): Load {
  let isOver = false;
  let placed = 0;
  const buy = async (user: TestUser, index: number) => {
    while (!isOver && placed < orders) {
      const turn = placed++;
      const items = [turn, turn + 1 + (turn % (products.length - 1))].map((n) => ({
        product_id: products[n % products.length] ?? 0,
        quantity: 1,
      }));
      const { outcome } = await log.order(user, items, {
        payment_method: turn % 8 === 7 ? "pm_card_chargeDeclined" : "pm_card_visa",
        patience: index % 5 === 4 ? 0 : patience,
      });
      await delay(outcome === "unknown" ? Math.max(pause, PAUSE_AFTER_FAILURE) : pause);
    }
  };
  const look = async (user: TestUser | undefined) => {
    while (!isOver) {
      await log.ask("GET", `/api/products/${products[0]}`);
      await log.ask("GET", "/api/products?limit=5&sort=newest");
      await log.ask("GET", "/api/orders?limit=3", user);
      await delay(pause);
    }
  };
  const readers = reads ? [look(buyers[0])] : [];
  const done = Promise.all(buyers.map(buy)).then(async () => {
    isOver = true;
    await Promise.all(readers);
  });
  return {
    done,
    async stop() {
      isOver = true;
      await done;
    },
  };
}
