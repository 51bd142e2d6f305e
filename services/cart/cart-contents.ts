import { ValidationFailed } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { MinorUnits } from "../../lib/money.ts";
import { MAX_QUANTITY } from "../../lib/schema.ts";
import type { LineItem } from "../inventory/inventory.contract.ts";

/*
 * What a cart holds, as plain functions on a value: none changes its argument.
 *
 * A `filling` names one life of a cart, from its first item until it is forgotten. Its `revision` names what it held
 * when a checkout looked: looking seals the revision, and the next change opens a new one. Every unit in the cart
 * remembers the revision that put it there, so one rule settles all that can cross an order:
 *
 *     an order of `<filling>.<revision>` takes out what was there by that revision, and nothing else.
 *
 * What a user adds after ordering stays, however late the order is told of, and however often. The same filling,
 * unchanged, keeps its cart id, by which `orders` recognises a second checkout of it. Merging a guest's cart at login
 * moves units by the same rule.
 */

/** Different products a user or guest may put together. */
const MAX_PRODUCTS = 100;
/** Different products after a login joined two carts: what one order may hold. Beyond it, a guest's items are dropped. */
const MAX_MERGED_PRODUCTS = 200;
/** Guests' carts remembered as merged; a user has one or two at a time. */
const MAX_MERGED = 20;

/** Units of one product that were put in under the same revision. */
interface Lot {
  revision: number;
  quantity: number;
}

export interface Item {
  product_id: number;
  /** Oldest first, none empty. */
  lots: Lot[];
  /** What the customer was last told of the product: shown when it is withdrawn, compared by `validate`. */
  seen: Seen;
}

export interface Seen {
  name: string;
  price: MinorUnits;
}

export interface Contents {
  filling: string;
  revision: number;
  /** The revision was given to a checkout: the next change opens another. */
  sealed: boolean;
  items: Item[];
  /** Guests' fillings that joined this cart, and up to which revision. Outlives the items, so that none joins twice. */
  merged: { filling: string; revision: number }[];
}

const NEW: Omit<Contents, "filling"> = { revision: 1, sealed: false, items: [], merged: [] };

/** A cart that is about to change, so no longer of a sealed revision. */
function opened(cart: Contents | null): Contents {
  if (cart === null) return { ...NEW, filling: newId() };
  return cart.sealed ? { ...cart, revision: cart.revision + 1, sealed: false } : cart;
}

/** Null if nothing is left that is worth keeping. */
function unlessEmpty(cart: Contents): Contents | null {
  return cart.items.length === 0 && cart.merged.length === 0 ? null : cart;
}

export function quantityOf(item: Item): number {
  return item.lots.reduce((sum, lot) => sum + lot.quantity, 0);
}

/** How many units of a product the cart holds; 0 if none. */
export function quantityIn(cart: Contents | null, productId: number): number {
  const item = cart?.items.find(({ product_id }) => product_id === productId);
  return item ? quantityOf(item) : 0;
}

/** The cart's items as an order takes them. */
export function lineItems(cart: Contents): LineItem[] {
  return cart.items.map((item) => ({ product_id: item.product_id, quantity: quantityOf(item) }));
}

/** Takes a product out. @returns the next cart, or null if it is empty now */
export function withoutItem(cart: Contents | null, productId: number): Contents | null {
  const present = quantityIn(cart, productId);
  return present === 0 ? cart : fewer(cart, productId, present);
}

/**
 * Sets a product's quantity, from 1.
 * @param seen kept if the product is new to the cart
 * @throws ValidationFailed if the cart can't hold that many units or products
 */
export function withQuantity(
  cart: Contents | null,
  productId: number,
  quantity: number,
  seen: Seen,
): Contents | null {
  if (quantity > MAX_QUANTITY) {
    throw refusal("/quantity", `a cart holds at most ${MAX_QUANTITY} of one product`);
  }
  const missing = quantity - quantityIn(cart, productId);
  if (missing === 0) return cart;
  if (missing < 0) return fewer(cart, productId, -missing);
  const next = opened(cart);
  if (next.items.length >= MAX_PRODUCTS && quantity === missing) {
    throw refusal("/product_id", `a cart holds at most ${MAX_PRODUCTS} different products`);
  }
  return { ...next, items: put(next.items, next.revision, productId, missing, seen) };
}

function refusal(path: string, message: string): ValidationFailed {
  return new ValidationFailed({ violations: [{ path, message }] });
}

function put(items: Item[], revision: number, productId: number, quantity: number, seen: Seen): Item[] {
  if (!items.some(({ product_id }) => product_id === productId)) {
    const { name, price } = seen;
    return [...items, { product_id: productId, lots: [{ revision, quantity }], seen: { name, price } }];
  }
  return items.map((item) => {
    if (item.product_id !== productId) return item;
    const older = item.lots.filter((lot) => lot.revision !== revision);
    const same = item.lots.find((lot) => lot.revision === revision)?.quantity ?? 0;
    return { ...item, lots: [...older, { revision, quantity: same + quantity }] };
  });
}

/** Takes units out, the oldest first: an order that was not told of yet claims those, and never newer ones. */
function fewer(cart: Contents | null, productId: number, quantity: number): Contents | null {
  const next = opened(cart);
  let left = quantity;
  const items = next.items.map((item) => {
    if (item.product_id !== productId) return item;
    const lots = item.lots.map((lot) => {
      const taken = Math.min(lot.quantity, left);
      left -= taken;
      return { ...lot, quantity: lot.quantity - taken };
    });
    return { ...item, lots };
  });
  return unlessEmpty({ ...next, items: nonEmpty(items) });
}

function nonEmpty(items: Item[]): Item[] {
  return items
    .map((item) => ({ ...item, lots: item.lots.filter((lot) => lot.quantity > 0) }))
    .filter((item) => item.lots.length > 0);
}

/** Takes everything out. */
export function cleared(cart: Contents | null): Contents | null {
  return cart && unlessEmpty({ ...opened(cart), items: [] });
}

/** Settles the revision under which a checkout (or a login) takes what is there now. */
export function sealed(cart: Contents): Contents {
  return { ...cart, sealed: true };
}

/** Names what the cart held when it was sealed. */
export function cartIdOf(cart: Contents): string {
  return `${cart.filling}.${cart.revision}`;
}

/** Of the units that have been in it longest. */
export function oldestRevision(cart: Contents): number {
  return Math.min(cart.revision, ...cart.items.flatMap(({ lots }) => lots.map(({ revision }) => revision)));
}

/** The parts of a cart id; null if it is none. */
export function parseCartId(cartId: string): { filling: string; revision: number } | null {
  const [, filling, revision] = /^([0-9a-f-]{36})\.([0-9]{1,15})$/.exec(cartId) ?? [];
  return filling === undefined ? null : { filling, revision: Number(revision) };
}

/** Whether the cart still holds something of that filling, up to that revision. */
export function holds(cart: Contents, filling: string, revision: number): boolean {
  return (
    cart.filling === filling && cart.items.some((item) => item.lots.some((lot) => lot.revision <= revision))
  );
}

/** Takes out what was there by a revision: it was ordered, or moved to the user's cart. */
export function taken(cart: Contents | null, filling: string, revision: number): Contents | null {
  if (cart === null || cart.filling !== filling) return cart;
  const items = cart.items.map((item) => ({
    ...item,
    lots: item.lots.filter((lot) => lot.revision > revision),
  }));
  return unlessEmpty({ ...cart, items: nonEmpty(items) });
}

/**
 * Adds what a guest's sealed cart holds to a user's, once: what of it joined before is left out. Quantities add up to
 * {@link MAX_QUANTITY}, products to {@link MAX_MERGED_PRODUCTS}; stock is not looked at.
 */
export function joined(user: Contents | null, guest: Contents): Contents {
  const before = user?.merged.find(({ filling }) => filling === guest.filling)?.revision ?? 0;
  if (user !== null && before >= guest.revision) return user;
  const next = opened(user);
  let items = next.items;
  for (const item of guest.items) {
    const present = items.find(({ product_id }) => product_id === item.product_id);
    if (!present && items.length >= MAX_MERGED_PRODUCTS) continue;
    const arriving = item.lots
      .filter((lot) => lot.revision > before)
      .reduce((sum, lot) => sum + lot.quantity, 0);
    const room = MAX_QUANTITY - (present ? quantityOf(present) : 0);
    const quantity = Math.min(arriving, room);
    if (quantity > 0) items = put(items, next.revision, item.product_id, quantity, item.seen);
  }
  const others = next.merged.filter(({ filling }) => filling !== guest.filling);
  const merged = [...others, { filling: guest.filling, revision: guest.revision }].slice(-MAX_MERGED);
  return { ...next, items, merged };
}

/** Notes what the customer is told now of products, for those whose price they saw was another. */
export function withSeen(cart: Contents | null, now: ReadonlyMap<number, Seen>): Contents | null {
  return (
    cart && {
      ...cart,
      items: cart.items.map((item) => {
        const seen = now.get(item.product_id);
        return seen ? { ...item, seen: { name: seen.name, price: seen.price } } : item;
      }),
    }
  );
}
