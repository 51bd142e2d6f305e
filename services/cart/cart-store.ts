import { type KeyValueStore, update } from "../../lib/stores/key-value.ts";
import { guestHash } from "../../lib/visitor.ts";
import { type Contents, holds, joined, sealed, taken } from "./cart-contents.ts";

/** A cart as it is stored: its contents, and when the store forgets them. */
export interface StoredCart extends Contents {
  expires_at: string;
}

export const userKey = (userId: string) => `cart:user:${userId}`;
export const guestKey = (token: string) => `cart:guest:${guestHash(token)}`;

/** Where carts live: every write is a compare-and-set, and gives the cart its whole life again. */
export class CartStore {
  readonly #kv: KeyValueStore;
  readonly #ttl: number;

  /** @param ttl seconds a cart lives after its last write */
  constructor(kv: KeyValueStore, ttl: number) {
    this.#kv = kv;
    this.#ttl = ttl;
  }

  async get(key: string): Promise<StoredCart | null> {
    return (await this.#kv.get<StoredCart>(key))?.value ?? null;
  }

  /** @param edit gives the next contents, or null for none; may run several times */
  change(key: string, edit: (cart: StoredCart | null) => Contents | null): Promise<StoredCart | null> {
    return update<StoredCart>(this.#kv, key, this.#ttl, (cart) => {
      const next = edit(cart);
      return next && { ...next, expires_at: new Date(Date.now() + this.#ttl * 1000).toISOString() };
    });
  }

  /** The cart under a revision that no later change can touch; null if there is none. */
  async seal(key: string): Promise<StoredCart | null> {
    const cart = await this.get(key);
    return cart?.sealed === false ? await this.change(key, (now) => now && sealed(now)) : cart;
  }

  /** Takes out what was there by a revision. Again, or for a cart filled since: nothing. */
  async take(key: string, filling: string, revision: number): Promise<void> {
    const cart = await this.get(key);
    if (cart && holds(cart, filling, revision)) {
      await this.change(key, (now) => taken(now, filling, revision));
    }
  }

  /**
   * Moves a guest's cart into a user's. A crash between its steps leaves the guest's cart as it was, with what has
   * joined noted in the user's: the next login goes on from there, and nothing is lost or doubled.
   */
  async merge(guest: string, user: string): Promise<void> {
    const moving = await this.seal(guest);
    if (!moving || moving.items.length === 0) return;
    await this.change(user, (cart) => joined(cart, moving));
    await this.take(guest, moving.filling, moving.revision);
  }
}
