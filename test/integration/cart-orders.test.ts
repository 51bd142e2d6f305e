import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import pg from "pg";
import { newId } from "../../lib/ids.ts";
import type { KeyValueStore } from "../../lib/stores/key-value.ts";
import { PostgresKeyValue } from "../../lib/stores/postgres-key-value.ts";
import { CartStore, guestKey, userKey } from "../../services/cart/cart-store.ts";
import { newCartToken } from "../helpers/buyer.ts";
import { eventually, send } from "../helpers/client.ts";
import { FakeMarket, FakePeople, type FakePerson } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const market = new FakeMarket();
const people = new FakePeople();
let shop: Shop;
let kv: KeyValueStore;

beforeAll(async () => {
  shop = await startShop({ replace: { ...market.services, ...people.services } });
  kv = new PostgresKeyValue(new pg.Pool({ connectionString: shop.databaseUrl, max: 2 }));
});
afterAll(async () => {
  await kv.close();
  await shop.stop();
});

type Items = { product_id: number; quantity: number }[];

async function add(who: FakePerson | string, product_id: number, quantity = 1, at = shop) {
  const options = typeof who === "string" ? { headers: { "X-Cart-Token": who } } : { token: who.token };
  const answer = await send(at, "POST", "/api/cart/items", { product_id, quantity }, options);
  if (answer.status !== 201) throw new Error(`adding answered ${answer.status}`);
}

/** What is in a cart; empty if there is none. */
async function held(who: FakePerson | string): Promise<Items> {
  const cart = await new CartStore(kv, 60).get(typeof who === "string" ? guestKey(who) : userKey(who.id));
  return (cart?.items ?? []).map(({ product_id, lots }) => ({
    product_id,
    quantity: lots.reduce((sum, lot) => sum + lot.quantity, 0),
  }));
}

const checkout = (user: FakePerson) => shop.call("cart.forCheckout", { user_id: user.id });
const complete = (user: FakePerson, cart_id: string) =>
  shop.call("cart.complete", { user_id: user.id, cart_id });

describe("ordering a cart", () => {
  test("takes its items, withdrawn ones too, and a second look finds the same", async () => {
    const [product, gone] = [market.add(), market.add()];
    const user = people.add();
    await add(user, product, 2);
    await add(user, gone);
    market.change(gone, { withdrawn: true });
    const cart = await checkout(user);
    expect(cart.items).toEqual([
      { product_id: product, quantity: 2 },
      { product_id: gone, quantity: 1 },
    ]);
    expect(await Promise.all([checkout(user), checkout(user)])).toEqual([cart, cart]);
  });

  test("finds nothing in an empty cart", async () => {
    expect((await checkout(people.add())).items).toEqual([]);
  });

  test("keeps its id when validated at a new price", async () => {
    const product = market.add({ price: 1000 });
    const user = people.add();
    await add(user, product);
    const cart = await checkout(user);
    market.change(product, { price: 2000 });
    await send(shop, "POST", "/api/cart/validate", {}, { token: user.token });
    expect(await checkout(user)).toEqual(cart);
  });

  test("empties it, once; a cart filled since is left alone", async () => {
    const product = market.add();
    const user = people.add();
    await add(user, product, 2);
    const { cart_id } = await checkout(user);
    await complete(user, cart_id);
    expect(await held(user)).toEqual([]);
    await add(user, product, 1);
    await complete(user, cart_id);
    expect(await held(user)).toEqual([{ product_id: product, quantity: 1 }]);
    expect((await checkout(user)).cart_id).not.toBe(cart_id);
  });

  test("leaves what was added while the order was made", async () => {
    const [product, other] = [market.add(), market.add()];
    const user = people.add();
    await add(user, product, 2);
    const { cart_id } = await checkout(user);
    await add(user, product, 3);
    await add(user, other);
    // It still holds what the first revision's order takes, until that is told.
    expect(await checkout(user)).toMatchObject({ oldest_revision: 1 });
    await complete(user, cart_id);
    expect(await checkout(user)).toMatchObject({ oldest_revision: 2 });
    expect(await held(user)).toEqual([
      { product_id: product, quantity: 3 },
      { product_id: other, quantity: 1 },
    ]);
  });

  test("loses nothing when adds, checkouts and completions run at once", async () => {
    const product = market.add();
    const user = people.add();
    await add(user, product, 10);
    const { cart_id } = await checkout(user);
    await Promise.all([
      ...Array.from({ length: 10 }, () => add(user, product)),
      ...Array.from({ length: 5 }, () => complete(user, cart_id)),
      ...Array.from({ length: 5 }, () => checkout(user)),
    ]);
    expect(await held(user)).toEqual([{ product_id: product, quantity: 10 }]);
  });

  test("of another user's cart id, or of none, changes nothing", async () => {
    const product = market.add();
    const [user, other] = [people.add(), people.add()];
    await add(user, product);
    const { cart_id } = await checkout(user);
    await complete(other, cart_id);
    await complete(user, "not a cart");
    expect(await held(user)).toEqual([{ product_id: product, quantity: 1 }]);
  });

  test("is told of by events, too, delivered again and late", async () => {
    const product = market.add();
    const user = people.add();
    await add(user, product, 2);
    const { cart_id } = await checkout(user);
    const tell = (event: "order.placed" | "order.confirmed", id: string | null) =>
      shop.call("cart.onOrder", {
        event_id: newId(),
        event,
        occurred_at: new Date().toISOString(),
        data: {
          order_id: newId(),
          number: "MC-000001",
          user_id: user.id,
          status: "pending",
          previous_status: null,
          total: 2000,
          currency: "EUR",
          items: [{ product_id: product, name: "Mug", quantity: 2, unit_price: 1000 }],
          cart_id: id,
          reason: null,
          synthetic: false,
        },
      });
    await tell("order.placed", null);
    expect(await held(user)).toEqual([{ product_id: product, quantity: 2 }]);
    await add(user, product, 1);
    await tell("order.confirmed", cart_id);
    await tell("order.placed", cart_id);
    expect(await held(user)).toEqual([{ product_id: product, quantity: 1 }]);
  });
});

describe("merging at login", () => {
  const merge = (user: FakePerson, cart_token: string) =>
    shop.call("cart.merge", { user_id: user.id, cart_token });

  test("adds the guest's items to the user's; the guest's cart is gone", async () => {
    const [one, other] = [market.add({ available: 3 }), market.add()];
    const [user, guest] = [people.add(), newCartToken()];
    await add(user, one, 2);
    await add(guest, one, 2);
    await add(guest, other, 5);
    await merge(user, guest);
    // Stock is not looked at here: validating the cart tells of it.
    const expected = [
      { product_id: one, quantity: 4 },
      { product_id: other, quantity: 5 },
    ];
    expect(await held(user)).toEqual(expected);
    expect(await held(guest)).toEqual([]);
    await merge(user, guest);
    expect(await held(user)).toEqual(expected);
  });

  test("of a token without a cart does nothing", async () => {
    const user = people.add();
    await merge(user, newCartToken());
    expect(await held(user)).toEqual([]);
  });

  test("counts once however many logins run at once", async () => {
    const product = market.add();
    const [user, guest] = [people.add(), newCartToken()];
    await add(guest, product, 3);
    await Promise.all(Array.from({ length: 10 }, () => merge(user, guest)));
    expect(await held(user)).toEqual([{ product_id: product, quantity: 3 }]);
    expect(await held(guest)).toEqual([]);
  });

  test("loses nothing that the guest adds meanwhile", async () => {
    const product = market.add();
    const [user, guest] = [people.add(), newCartToken()];
    await add(guest, product, 5);
    await Promise.all([
      merge(user, guest),
      ...Array.from({ length: 10 }, () => add(guest, product)),
      merge(user, guest),
    ]);
    await merge(user, guest);
    expect(await held(user)).toEqual([{ product_id: product, quantity: 15 }]);
  });

  // Writes of a merge, in order: the guest's cart is sealed, joins the user's, and is emptied.
  test.each([0, 1, 2])("goes on after a crash behind %i of its writes", async (writes) => {
    const product = market.add();
    const [user, guest] = [people.add(), newCartToken()];
    await add(user, product, 1);
    await add(guest, product, 2);
    const dying = new CartStore(dyingAfter(writes), 60);
    await expect(dying.merge(guestKey(guest), userKey(user.id))).rejects.toThrow("crashed");

    // The user even orders what they see before they log in again.
    const seen = await held(user);
    const { cart_id, items } = await checkout(user);
    expect(items).toEqual(seen);
    await complete(user, cart_id);
    await merge(user, guest);

    const left = await held(user);
    const units = [...seen, ...left].reduce((sum, { quantity }) => sum + quantity, 0);
    expect(units).toBe(3);
    expect(await held(guest)).toEqual([]);
  });

  function dyingAfter(writes: number): KeyValueStore {
    let left = writes;
    const live = () => {
      if (left-- <= 0) throw new Error("crashed");
    };
    return {
      get: (key) => kv.get(key),
      async compareAndSet(...args) {
        live();
        return await kv.compareAndSet(...args);
      },
      async delete(...args) {
        live();
        return await kv.delete(...args);
      },
      ping: () => kv.ping(),
      close: () => kv.close(),
    };
  }
});

describe("a cart's life", () => {
  test("ends CART_TTL after its last change", async () => {
    const product = market.add();
    const hasty = await startShop({
      databaseUrl: shop.databaseUrl,
      env: { CART_TTL: "1" },
      replace: { ...market.services, ...people.services },
    });
    try {
      const token = newCartToken();
      const start = Date.now();
      await add(token, product, 2, hasty);
      expect(await held(token)).toEqual([{ product_id: product, quantity: 2 }]);
      const ended = await eventually(async () => (await held(token)).length === 0 && Date.now());
      expect(ended - start).toBeGreaterThanOrEqual(1000);

      const fresh = await send(hasty, "GET", "/api/cart", undefined, { headers: { "X-Cart-Token": token } });
      expect(fresh.at("items")).toEqual([]);
      await add(token, product, 1, hasty);
      expect(await held(token)).toEqual([{ product_id: product, quantity: 1 }]);
    } finally {
      await hasty.stop();
    }
  });
});

describe("what only services may do", () => {
  test("is closed to people", async () => {
    const { id } = people.add();
    const asPerson = (action: string, params: object) =>
      shop.broker.call(action, params, { meta: { user: { id, role: "customer", session_id: id } } });
    for (const [action, params] of [
      ["cart.forCheckout", { user_id: id }],
      ["cart.complete", { user_id: id, cart_id: "x" }],
      ["cart.merge", { user_id: id, cart_token: "x" }],
    ] as const) {
      await expect(asPerson(action, params)).rejects.toMatchObject({ type: "FORBIDDEN" });
    }
  });
});
