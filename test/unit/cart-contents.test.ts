import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { newId } from "../../lib/ids.ts";
import {
  type Contents,
  cartIdOf,
  cleared,
  joined,
  lineItems,
  parseCartId,
  quantityIn,
  sealed,
  taken,
  withoutItem,
  withQuantity,
} from "../../services/cart/cart-contents.ts";

const SEEN = { name: "Coffee maker", price: 2999 };

/** A cart with these quantities, put in under one revision. */
function cartOf(quantities: Record<number, number>): Contents {
  let cart: Contents | null = null;
  for (const [id, quantity] of Object.entries(quantities))
    cart = withQuantity(cart, Number(id), quantity, SEEN);
  if (cart === null) throw new Error("an empty cart is none");
  return cart;
}

/** Takes an ordered cart's items out, by the id that the order was given. */
function completed(cart: Contents | null, ordered: Contents): Contents | null {
  const id = parseCartId(cartIdOf(ordered));
  if (id === null) throw new Error("not a cart id");
  return taken(cart, id.filling, id.revision);
}

describe("a cart's id", () => {
  test("stays while nothing changes, however often a checkout looks", () => {
    const first = sealed(cartOf({ 1: 2 }));
    expect(cartIdOf(sealed(first))).toBe(cartIdOf(first));
  });

  test("stays when a quantity is set to what it is", () => {
    const first = sealed(cartOf({ 1: 2 }));
    expect(cartIdOf(withQuantity(first, 1, 2, SEEN) ?? first)).toBe(cartIdOf(first));
    expect(withQuantity(first, 1, 2, SEEN)?.sealed).toBe(true);
  });

  test.each([
    ["more of a product", (cart: Contents) => withQuantity(cart, 1, 3, SEEN)],
    ["less of it", (cart: Contents) => withQuantity(cart, 1, 1, SEEN)],
    ["another product", (cart: Contents) => withQuantity(cart, 3, 1, SEEN)],
    ["a product taken out", (cart: Contents) => withoutItem(cart, 2)],
  ])("is another after a checkout looked and then %s", (_, change) => {
    const first = sealed(cartOf({ 1: 2, 2: 1 }));
    const next = change(first);
    expect(next && cartIdOf(next)).not.toBe(cartIdOf(first));
  });

  test("is another for a cart filled anew", () => {
    const first = sealed(cartOf({ 1: 2 }));
    expect(cleared(first)).toBeNull();
    expect(cartIdOf(cartOf({ 1: 2 }))).not.toBe(cartIdOf(first));
  });

  test.each(["", "x", `${newId()}.`, `${newId()}.1.2`, "123e4567-e89b.1"])("is not %p", (text) => {
    expect(parseCartId(text)).toBeNull();
  });
});

describe("completing an order", () => {
  test("empties a cart that did not change since", () => {
    const ordered = sealed(cartOf({ 1: 2, 2: 1 }));
    expect(completed(ordered, ordered)).toBeNull();
  });

  test("leaves what was added after it", () => {
    const ordered = sealed(cartOf({ 1: 2 }));
    const later = withQuantity(withQuantity(ordered, 1, 5, SEEN), 2, 1, SEEN);
    const left = completed(later, ordered);
    expect(left && lineItems(left)).toEqual([
      { product_id: 1, quantity: 3 },
      { product_id: 2, quantity: 1 },
    ]);
    // Told of twice, it takes nothing more.
    expect(completed(left, ordered)).toEqual(left);
  });

  test("leaves a product that was taken out and put in again", () => {
    const ordered = sealed(cartOf({ 1: 2, 2: 1 }));
    const later = withQuantity(withoutItem(ordered, 1), 1, 1, SEEN);
    const left = completed(later, ordered);
    expect(left && lineItems(left)).toEqual([{ product_id: 1, quantity: 1 }]);
  });

  test("settles two orders in either order", () => {
    const first = sealed(cartOf({ 1: 2 }));
    const second = sealed(withQuantity(first, 2, 1, SEEN) ?? first);
    expect(completed(completed(second, first), second)).toBeNull();
    expect(completed(completed(second, second), first)).toBeNull();
  });

  test("leaves a cart filled since alone", () => {
    const ordered = sealed(cartOf({ 1: 2 }));
    const other = cartOf({ 1: 2 });
    expect(completed(other, ordered)).toBe(other);
  });

  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), n: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant("reduce" as const), n: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant("checkout" as const), n: fc.constant(0) }),
    fc.record({ kind: fc.constant("complete" as const), n: fc.nat(9) }),
  );

  test("takes each ordered unit once and no other, whatever comes between", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        // Product 2 keeps the cart in being, so that its filling lasts for the whole story.
        let cart: Contents | null = cartOf({ 2: 1 });
        let units: number[] = [];
        const orders: { contents: Contents; at: number }[] = [];
        for (const [at, { kind, n }] of steps.entries()) {
          if (kind === "add") {
            cart = withQuantity(cart, 1, quantityIn(cart, 1) + n, SEEN);
            units.push(...Array.from({ length: n }, () => at));
          } else if (kind === "reduce" && units.length > n) {
            cart = withQuantity(cart, 1, units.length - n, SEEN);
            units = units.slice(n);
          } else if (kind === "checkout" && cart) {
            cart = sealed(withQuantity(cart, 2, quantityIn(cart, 2) + 1, SEEN) ?? cart);
            orders.push({ contents: cart, at });
            cart = withQuantity(cart, 2, quantityIn(cart, 2) + 1, SEEN);
          } else if (kind === "complete") {
            const order = orders[n];
            if (!order) continue;
            cart = completed(cart, order.contents);
            units = units.filter((unit) => unit > order.at);
          }
          expect(quantityIn(cart, 1)).toBe(units.length);
        }
      }),
    );
  });
});

describe("joining a guest's cart", () => {
  test("adds up and keeps what was there", () => {
    const cart = joined(cartOf({ 1: 2, 2: 1 }), sealed(cartOf({ 2: 4, 3: 1 })));
    expect(lineItems(cart)).toEqual([
      { product_id: 1, quantity: 2 },
      { product_id: 2, quantity: 5 },
      { product_id: 3, quantity: 1 },
    ]);
  });

  test("happens once, also after the user's cart was ordered", () => {
    const guest = sealed(cartOf({ 1: 2 }));
    const cart = sealed(joined(null, guest));
    const ordered = completed(cart, cart);
    expect(ordered && lineItems(joined(ordered, guest))).toEqual([]);
  });

  test("adds what the guest put in since it joined before", () => {
    const guest = sealed(cartOf({ 1: 2 }));
    const cart = joined(null, guest);
    const more = sealed(withQuantity(guest, 1, 5, SEEN) ?? guest);
    expect(lineItems(joined(cart, more))).toEqual([{ product_id: 1, quantity: 5 }]);
  });

  test("stops at 10,000 of a product and at 200 products", () => {
    expect(quantityIn(joined(cartOf({ 1: 9_990 }), sealed(cartOf({ 1: 500 }))), 1)).toBe(10_000);
    const hundred = (from: number) =>
      cartOf(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [from + index, 1])));
    let cart = joined(hundred(1), sealed(hundred(101)));
    expect(cart.items).toHaveLength(200);
    cart = joined(cart, sealed(cartOf({ 150: 1, 900: 1 })));
    expect(cart.items).toHaveLength(200);
    expect(quantityIn(cart, 150)).toBe(2);
    expect(() => withQuantity(cart, 901, 1, SEEN)).toThrow("/product_id: a cart holds at most 100");
  });
});
