import { randomBytes } from "node:crypto";
import { call } from "../../lib/call.ts";
import { InsufficientStock, NotFound } from "../../lib/errors.ts";
import { configOf } from "../../lib/runtime.ts";
import { type Ctx, defineService } from "../../lib/service.ts";
import { guestVisitor, userVisitor } from "../../lib/visitor.ts";
import { keyValue } from "../../mixins/key-value.ts";
import type { BehaviourSignal } from "../analytics/analytics.contract.ts";
import { cartContract } from "./cart.contract.ts";
import {
  cartIdOf,
  cleared,
  lineItems,
  oldestRevision,
  parseCartId,
  quantityIn,
  withoutItem,
  withQuantity,
  withSeen,
} from "./cart-contents.ts";
import { CartStore, guestKey, type StoredCart, userKey } from "./cart-store.ts";
import { issuesOf, type Offer, type Offers, viewOf } from "./cart-view.ts";

export default defineService(cartContract)({
  mixins: [keyValue()],

  state() {
    return { carts: new CartStore(this.kv, configOf(this.broker).CART_TTL) };
  },

  actions: {
    async get(ctx) {
      const { key } = ownerOf(ctx);
      return await show(ctx, await this.carts.get(key));
    },

    async addItem(ctx) {
      const { key, visitor } = ownerOf(ctx);
      const { product_id, quantity = 1 } = ctx.params;
      const offers = await offersOf(ctx, [product_id]);
      const offer = offerOf(offers, product_id);
      const cart = await this.carts.change(key, (now) =>
        withQuantity(
          now,
          product_id,
          inStock(offer, product_id, quantityIn(now, product_id) + quantity),
          offer,
        ),
      );
      const signal: BehaviourSignal = { type: "add_to_cart", visitor, product_id };
      // May be lost, and must not hold up or fail the request.
      ctx.emit("analytics.behaviour", signal).catch((error: unknown) => {
        this.logger.debug("Could not tell analytics", { error: String(error) });
      });
      return await show(ctx, cart, offers);
    },

    async setItem(ctx) {
      const { key } = ownerOf(ctx);
      const { product_id, quantity } = ctx.params;
      if (quantity === 0) {
        return await show(ctx, await this.carts.change(key, (now) => withoutItem(now, product_id)));
      }
      const offers = await offersOf(ctx, [product_id]);
      const offer = offerOf(offers, product_id);
      inStock(offer, product_id, quantity);
      const cart = await this.carts.change(key, (now) => withQuantity(now, product_id, quantity, offer));
      return await show(ctx, cart, offers);
    },

    async removeItem(ctx) {
      const { key } = ownerOf(ctx);
      const { product_id } = ctx.params;
      const cart = await this.carts.change(key, (now) => {
        if (quantityIn(now, product_id) === 0) throw new NotFound({ what: "product in the cart" });
        return withoutItem(now, product_id);
      });
      return await show(ctx, cart);
    },

    async clear(ctx) {
      const { key } = ownerOf(ctx);
      return await show(ctx, await this.carts.change(key, cleared));
    },

    async validate(ctx) {
      const { key } = ownerOf(ctx);
      const cart = await this.carts.get(key);
      const offers = await offersOf(ctx, productsIn(cart));
      const issues = issuesOf(cart, offers);
      const view = viewOf(cart, offers);
      if (issues.some(({ code }) => code === "PRICE_CHANGED")) {
        // Told once: from now on this is the price that the customer has seen.
        const noted = await this.carts.change(key, (now) => withSeen(now, offers));
        view.expires_at = noted?.expires_at ?? null;
      }
      return { cart: view, is_valid: issues.length === 0, validation_issues: issues };
    },

    async merge(ctx) {
      await this.carts.merge(guestKey(ctx.params.cart_token), userKey(ctx.params.user_id));
      return null;
    },

    async forCheckout(ctx) {
      const cart = await this.carts.seal(userKey(ctx.params.user_id));
      return cart
        ? { cart_id: cartIdOf(cart), oldest_revision: oldestRevision(cart), items: lineItems(cart) }
        : { cart_id: "", oldest_revision: 1, items: [] };
    },

    async complete(ctx) {
      await complete(this.carts, ctx.params.user_id, ctx.params.cart_id);
      return null;
    },

    async onOrder(ctx) {
      const { user_id, cart_id } = ctx.params.data;
      if (cart_id !== null) await complete(this.carts, user_id, cart_id);
      return null;
    },
  },
});

/** Whose cart a request is about. A guest who brings no token gets one with the answer. */
function ownerOf(ctx: Ctx): { key: string; visitor: string } {
  const { user, cartToken, $responseHeaders } = ctx.meta;
  if (user) return { key: userKey(user.id), visitor: userVisitor(user.id) };
  const token = cartToken ?? randomBytes(32).toString("base64url");
  if (cartToken === undefined) ctx.meta.$responseHeaders = { ...$responseHeaders, "X-Cart-Token": token };
  return { key: guestKey(token), visitor: guestVisitor(token) };
}

/** What the shop offers of these products: prices from the catalogue, stock from the inventory, nothing from the client. */
async function offersOf(ctx: Ctx, ids: number[]): Promise<Offers> {
  if (ids.length === 0) return new Map();
  const [quotes, levels] = await Promise.all([
    call(ctx, "products.quote", { ids }),
    call(ctx, "inventory.levels", { product_ids: ids }),
  ]);
  const available = new Map(levels.map((level) => [level.product_id, level.available]));
  return new Map(
    quotes.map(({ product_id, name, unit_price }) => [
      product_id,
      { name, price: unit_price, available: available.get(product_id) ?? 0 },
    ]),
  );
}

/** @throws NotFound if the product isn't sold */
function offerOf(offers: Offers, productId: number): Offer {
  const offer = offers.get(productId);
  if (!offer) throw new NotFound({ what: "product", id: productId });
  return offer;
}

/** @returns the quantity; @throws InsufficientStock if that many are not available */
function inStock({ available }: Offer, product_id: number, quantity: number): number {
  if (quantity > available) {
    throw new InsufficientStock({ items: [{ product_id, requested: quantity, available }] });
  }
  return quantity;
}

function productsIn(cart: StoredCart | null): number[] {
  return cart?.items.map(({ product_id }) => product_id) ?? [];
}

/** The cart as its owner sees it; `known` are offers that were just asked for. */
async function show(ctx: Ctx, cart: StoredCart | null, known: Offers = new Map()) {
  const unknown = productsIn(cart).filter((id) => !known.has(id));
  return viewOf(cart, new Map([...known, ...(await offersOf(ctx, unknown))]));
}

async function complete(carts: CartStore, userId: string, cartId: string): Promise<void> {
  const ordered = parseCartId(cartId);
  if (ordered) await carts.take(userKey(userId), ordered.filling, ordered.revision);
}
