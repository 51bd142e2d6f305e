import type { ResultOf } from "../../lib/contract.ts";
import { type MinorUnits, toDecimal } from "../../lib/money.ts";
import type { Cart, cartContract } from "./cart.contract.ts";
import { type Item, quantityOf } from "./cart-contents.ts";
import type { StoredCart } from "./cart-store.ts";

/** What the shop sells a product for right now, and how many it has. */
export interface Offer {
  name: string;
  /** Minor units. */
  price: MinorUnits;
  available: number;
}

/** By product id; a product that isn't sold (any more) has none. */
export type Offers = ReadonlyMap<number, Offer>;

type ValidationIssue = ResultOf<typeof cartContract.actions.validate>["validation_issues"][number];

/**
 * A cart as its owner sees it, at today's prices. A product that was withdrawn stays to be seen, with its last known
 * name and price, but counts in neither total: it can't be ordered.
 */
export function viewOf(cart: StoredCart | null, offers: Offers): Cart {
  const items = cart?.items ?? [];
  const buyable = items.filter((item) => offers.has(item.product_id));
  return {
    items: items.map((item) => viewOfItem(item, offers.get(item.product_id))),
    total_amount: toDecimal(buyable.reduce((sum, item) => sum + quantityOf(item) * priceOf(item, offers), 0)),
    total_items: buyable.reduce((sum, item) => sum + quantityOf(item), 0),
    expires_at: items.length > 0 && cart ? cart.expires_at : null,
  };
}

function priceOf(item: Item, offers: Offers): MinorUnits {
  return offers.get(item.product_id)?.price ?? item.seen.price;
}

function viewOfItem(item: Item, offer: Offer | undefined): Cart["items"][number] {
  const { name, price } = offer ?? item.seen;
  const quantity = quantityOf(item);
  return {
    product_id: item.product_id,
    product_name: name,
    product_price: toDecimal(price),
    quantity,
    subtotal: toDecimal(price * quantity),
    stock_available: offer?.available ?? 0,
    ...(offer ? {} : { unavailable: true }),
  };
}

/** What keeps a cart from being ordered as its owner last saw it. */
export function issuesOf(cart: StoredCart | null, offers: Offers): ValidationIssue[] {
  const items = cart?.items ?? [];
  if (items.length === 0) {
    return [{ product_id: null, code: "CART_EMPTY", issue: "There is nothing in the cart." }];
  }
  return items.flatMap((item) => issuesOfItem(item, offers.get(item.product_id)));
}

function issuesOfItem(item: Item, offer: Offer | undefined): ValidationIssue[] {
  const { product_id, seen } = item;
  if (!offer) {
    return [{ product_id, code: "PRODUCT_UNAVAILABLE", issue: `${seen.name} is no longer sold.` }];
  }
  const { name, price, available } = offer;
  const issues: ValidationIssue[] = [];
  if (quantityOf(item) > available) {
    issues.push({
      product_id,
      code: "INSUFFICIENT_STOCK",
      issue: available > 0 ? `Only ${available} of ${name} are available.` : `${name} is out of stock.`,
    });
  }
  if (price !== seen.price) {
    const [now, before] = [toDecimal(price).toFixed(2), toDecimal(seen.price).toFixed(2)];
    issues.push({ product_id, code: "PRICE_CHANGED", issue: `${name} costs ${now} now, not ${before}.` });
  }
  return issues;
}
