import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { failureCode } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { inventoryOf } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let stock: ReturnType<typeof inventoryOf>;

beforeAll(async () => {
  shop = await startShop();
  stock = inventoryOf(shop);
});
afterAll(async () => {
  await shop.stop();
});

const PRODUCTS = 3;
const ORDERS = 3;
/** On hand of each product at first. */
const STOCK = 6;

type Operation =
  | { do: "reserve"; order: number; quantities: readonly number[] }
  | { do: "commit" | "release" | "giveBack"; order: number }
  | { do: "set" | "adjust"; product: number; by: number };

interface ModelLevel {
  on_hand: number;
  reserved: number;
  received: number;
  sold: number;
}

/** The inventory as one would explain it, in memory and one call at a time. */
class Model {
  readonly levels: ModelLevel[] = Array.from({ length: PRODUCTS }, () => ({
    on_hand: STOCK,
    reserved: 0,
    received: STOCK,
    sold: 0,
  }));
  readonly orders = new Map<number, { state: string; quantities: readonly number[] }>();

  /** @returns the state or the level that the call should answer, or the code it should fail with */
  run(operation: Operation): unknown {
    switch (operation.do) {
      case "reserve":
        return this.#reserve(operation.order, operation.quantities);
      case "commit":
        return this.#commit(operation.order);
      case "release":
      case "giveBack":
        return this.#undo(operation.order, operation.do === "giveBack");
      case "set":
        return this.#restock(operation.product, () => operation.by);
      case "adjust":
        return this.#restock(operation.product, (on_hand) => on_hand + operation.by - 5);
    }
  }

  #reserve(id: number, quantities: readonly number[]): string {
    const order = this.orders.get(id);
    if (order?.state === "released" || order?.state === "returned") return "RESERVATION_RELEASED";
    if (order) return String(order.quantities) === String(quantities) ? order.state : "IDEMPOTENCY_MISMATCH";
    if (this.levels.some((level, i) => level.on_hand - level.reserved < (quantities[i] ?? 0))) {
      return "INSUFFICIENT_STOCK";
    }
    this.orders.set(id, { state: "reserved", quantities });
    this.#each(quantities, (level, quantity) => {
      level.reserved += quantity;
    });
    return "reserved";
  }

  #commit(id: number): string {
    const order = this.orders.get(id);
    if (!order) return "NOT_FOUND";
    if (order.state === "released" || order.state === "returned") return "RESERVATION_RELEASED";
    if (order.state === "reserved") {
      this.#each(order.quantities, (level, quantity) => {
        level.on_hand -= quantity;
        level.reserved -= quantity;
        level.sold += quantity;
      });
    }
    order.state = "committed";
    return order.state;
  }

  #undo(id: number, alsoSales: boolean): string {
    const order = this.orders.get(id) ?? { state: "released", quantities: [] };
    this.orders.set(id, order);
    if (order.state === "reserved") {
      this.#each(order.quantities, (level, quantity) => {
        level.reserved -= quantity;
      });
      order.state = "released";
    } else if (order.state === "committed" && alsoSales) {
      this.#each(order.quantities, (level, quantity) => {
        level.on_hand += quantity;
        level.sold -= quantity;
      });
      order.state = "returned";
    }
    return order.state;
  }

  #restock(product: number, target: (on_hand: number) => number): number | string {
    const level = this.levels[product];
    if (!level) throw new Error(`There is no product ${product} in the model.`);
    const on_hand = target(level.on_hand);
    if (on_hand < level.reserved) return "BELOW_RESERVED";
    level.received += on_hand - level.on_hand;
    level.on_hand = on_hand;
    return on_hand;
  }

  #each(quantities: readonly number[], change: (level: ModelLevel, quantity: number) => void): void {
    for (const [i, level] of this.levels.entries()) change(level, quantities[i] ?? 0);
  }
}

/** The same operation through the service, with ids of this run. */
async function perform(operation: Operation, products: number[], orders: string[]): Promise<unknown> {
  const order_id = "order" in operation ? (orders[operation.order] ?? "") : "";
  const product_id = "product" in operation ? (products[operation.product] ?? 0) : 0;
  try {
    switch (operation.do) {
      case "reserve": {
        const wanted = products.map((id, i) => ({ product_id: id, quantity: operation.quantities[i] ?? 0 }));
        return (
          await stock.reserve(
            order_id,
            wanted.filter(({ quantity }) => quantity > 0),
          )
        ).state;
      }
      case "commit":
      case "release":
      case "giveBack":
        return (await stock[operation.do](order_id)).state;
      case "set":
        return (await shop.call("inventory.set", { product_id, on_hand: operation.by })).on_hand;
      case "adjust":
        return (await shop.call("inventory.adjust", { product_id, change: operation.by - 5 })).on_hand;
    }
  } catch (error) {
    return failureCode(error) ?? error;
  }
}

const order = fc.nat({ max: ORDERS - 1 });
// Few different carts, so that an order is asked for the same and for other items again.
const quantities = fc.constantFrom([1, 0, 0], [0, 2, 1], [3, 3, 3], [0, 0, 4]);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("reserve" as const), order, quantities }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("commit" as const, "release" as const, "giveBack" as const),
      order,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("set" as const, "adjust" as const),
      product: fc.nat({ max: PRODUCTS - 1 }),
      by: fc.nat({ max: 10 }),
    }),
  },
);

test("whatever is called in whatever order, the service answers and counts as the model does", async () => {
  const answers = new Set<unknown>();
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 25 }), async (operations) => {
      const model = new Model();
      const products = await Promise.all(Array.from({ length: PRODUCTS }, () => stock.stocked(STOCK)));
      const orders = Array.from({ length: ORDERS }, () => newId());
      for (const [i, step] of operations.entries()) {
        const expected = model.run(step);
        expect({ i, answer: await perform(step, products, orders) }).toEqual({ i, answer: expected });
        answers.add(expected);
      }
      expect(await shop.call("inventory.levels", { product_ids: products })).toMatchObject(model.levels);
    }),
    { seed: 7, numRuns: 60 },
  );
  expect(await stock.audit()).toMatchObject({ violations: [] });
  // The run was worth something: every state and every refusal occurred.
  expect([...answers]).toEqual(
    expect.arrayContaining([
      ...["reserved", "committed", "released", "returned"],
      ...[
        "INSUFFICIENT_STOCK",
        "RESERVATION_RELEASED",
        "IDEMPOTENCY_MISMATCH",
        "NOT_FOUND",
        "BELOW_RESERVED",
      ],
    ]),
  );
});
