import type { Database, Tx } from "../../lib/stores/database.ts";

/** A cart as `cart.forCheckout` gives it: what it held by this revision, some of it since `oldest_revision`. */
export interface OrderedCart {
  /** `<filling>.<revision>` */
  cart_id: string;
  oldest_revision: number;
}

/** Another order stands that takes some of the same units out of the cart, and hasn't yet. */
export class CartTaken extends Error {
  readonly cartId: string;

  /** @param cartId of that order */
  constructor(cartId: string) {
    super("Some of the cart is in another order.");
    this.cartId = cartId;
  }
}

/**
 * Makes sure, until the transaction ends, that no unit of the cart is in another order: an order of a revision takes
 * what was there by it. A cart that changed while its order was under way is a second cart id, but not a second cart.
 * @throws CartTaken
 */
export async function claimCart(db: Database, tx: Tx, userId: string, cart: OrderedCart): Promise<void> {
  // Of two revisions at once, neither would see the other's order.
  await db.rows("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`orders.cart:${userId}`], tx);
  const other = await db.one<{ cart_id: string }>(
    `SELECT cart_id FROM orders.orders
     WHERE split_part(cart_id, '.', 1) = split_part($1, '.', 1) AND status <> 'cancelled'
       AND user_id = $2 AND cart_id <> $1 AND nullif(split_part(cart_id, '.', 2), '')::bigint >= $3
     ORDER BY id DESC LIMIT 1`,
    [cart.cart_id, userId, cart.oldest_revision],
    tx,
  );
  if (other) throw new CartTaken(other.cart_id);
}
