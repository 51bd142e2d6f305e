import type { ActionSpecs, Contract } from "../../lib/contract.ts";
import { newId } from "../../lib/ids.ts";
import { type Ctx, defineService, type Handlers, type ServiceFactory } from "../../lib/service.ts";
import { authContract, type Principal } from "../../services/auth/auth.contract.ts";
import { inventoryContract } from "../../services/inventory/inventory.contract.ts";
import { productsContract } from "../../services/products/products.contract.ts";
import { type User, usersContract } from "../../services/users/users.contract.ts";

/** What a publisher of events answers whose queues are empty. */
export const emptyQueues = (database: string) => ({
  undeliveredEvents: async () => ({ database, checked: 0, dead: 0, late: 0, events: [] }),
  queueFigures: async () => ({ database, queues: [] }),
});

/** A service that does only what a test needs of it; its other actions fail. */
export function fakeService<N extends string, A extends ActionSpecs>(
  contract: Contract<N, A>,
  handlers: Partial<Handlers<A>>,
): ServiceFactory {
  const whole: Contract = contract;
  const actions = Object.keys(whole.actions).map((name) => {
    const handler: unknown = Reflect.get(handlers, name);
    return [
      name,
      async (ctx: Ctx) => {
        if (typeof handler !== "function") throw new Error(`The test's ${contract.name} has no ${name}.`);
        return await Reflect.apply(handler, undefined, [ctx]);
      },
    ] as const;
  });
  return defineService(whole)({ actions: Object.fromEntries(actions) });
}

interface FakeProduct {
  name: string;
  /** Minor units. */
  price: number;
  available: number;
  withdrawn?: boolean;
}

/** A catalogue and a warehouse in memory, to be changed at will. */
export class FakeMarket {
  readonly #products = new Map<number, FakeProduct>();

  /** @returns its id */
  add(product: Partial<FakeProduct> = {}): number {
    const id = this.#products.size + 1;
    this.#products.set(id, { name: `Product ${id}`, price: 1000, available: 100, ...product });
    return id;
  }

  change(id: number, fields: Partial<FakeProduct>): void {
    Object.assign(this.#of(id), fields);
  }

  #of(id: number): FakeProduct {
    const product = this.#products.get(id);
    if (!product) throw new Error(`The test has no product ${id}.`);
    return product;
  }

  readonly services = {
    products: fakeService(productsContract, {
      quote: async (ctx) =>
        ctx.params.ids.flatMap((id) => {
          const product = this.#products.get(id);
          if (!product || product.withdrawn) return [];
          const { name, price } = product;
          return [{ product_id: id, sku: `SKU-${id}`, name, unit_price: price, currency: "EUR" }];
        }),
    }),
    inventory: fakeService(inventoryContract, {
      levels: async (ctx) =>
        ctx.params.product_ids.flatMap((product_id) => {
          const available = this.#products.get(product_id)?.available;
          if (available === undefined) return [];
          return [
            {
              product_id,
              on_hand: available,
              reserved: 0,
              available,
              received: available,
              sold: 0,
              version: 1,
            },
          ];
        }),
    }),
  };
}

export interface FakePerson {
  id: string;
  email: string;
  /** What stands for their access token. */
  token: string;
}

/** People who are logged in by being here. */
export class FakePeople {
  readonly #users = new Map<string, User>();

  add(role: User["role"] = "customer"): FakePerson {
    const id = newId();
    const at = "2026-01-01T00:00:00.000Z";
    const email = `${id}@example.com`;
    const names = { name: "Ada Lovelace", first_name: "Ada", last_name: "Lovelace" };
    const rest = { phone: null, role, is_active: true, created_at: at, updated_at: at };
    this.#users.set(id, { id, email, ...names, ...rest });
    return { id, email, token: id };
  }

  remove(id: string): void {
    this.#users.delete(id);
  }

  readonly services = {
    users: fakeService(usersContract, {
      ...emptyQueues("users"),
      find: async (ctx) => this.#users.get(ctx.params.id ?? "") ?? null,
    }),
    auth: fakeService(authContract, {
      resolve: async (ctx): Promise<Principal | null> => {
        const user = this.#users.get(ctx.params.token);
        return user ? { id: user.id, role: user.role, session_id: user.id } : null;
      },
    }),
  };
}
