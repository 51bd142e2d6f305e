import { call } from "../../lib/call.ts";
import { CartEmpty, IdempotencyInProgress, OrderInProgress, OrderOutcomeUnknown } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { Meta } from "../../lib/meta.ts";
import type { Ctx } from "../../lib/service.ts";
import { isUniqueViolation } from "../../lib/stores/database.ts";
import { requestHash } from "../../lib/stores/idempotency.ts";
import type { LineItem } from "../inventory/inventory.contract.ts";
import { CartTaken, claimCart, type OrderedCart } from "./cart-claim.ts";
import { type Answer, failureOf } from "./checkout-answers.ts";
import type { OrderRecord } from "./order-store.ts";
import { orderView } from "./order-view.ts";
import type { Order, ShippingAddress } from "./orders.contract.ts";
import { mergeItems, type PricedItem, priceItems, totalsOf } from "./pricing.ts";
import type { OrdersParts } from "./saga-context.ts";
import { driveSaga, goesOn, WHILE_ASKED } from "./saga-driver.ts";
import type { SagaRow } from "./saga-store.ts";

export interface CheckoutParams {
  shipping_address: ShippingAddress;
  items?: { product_id: number; quantity: number }[];
  payment_method?: string;
  synthetic?: boolean;
}

interface Placed {
  order: Order;
  /** True if this is the first answer given again. */
  replayed: boolean;
}

/**
 * Places an order: prices it, writes it down with the saga that drives it and the job behind that saga, and drives it
 * at once.
 * @throws the failure that ended the checkout; OrderOutcomeUnknown if the job has to end it
 */
export async function checkout(
  parts: OrdersParts,
  ctx: Ctx<CheckoutParams>,
  userId: string,
): Promise<Placed> {
  const { params } = ctx;
  const key = ctx.meta.idempotencyKey;
  const hash = requestHash(params);
  if (key !== undefined) {
    const known = await parts.answers.find(userId, key, hash);
    if (known) return await replay(parts, ctx, known.orderId, known.answer);
  }

  const idempotency = key === undefined ? undefined : { key, hash };
  if (params.items) return await place(parts, ctx, userId, params.items, null, idempotency);
  try {
    return await placeCart(parts, ctx, userId, idempotency);
  } catch (error) {
    if (!(error instanceof CartTaken)) throw error;
    const other = await parts.orders.ofCart(error.cartId);
    if (other?.busy) throw new OrderInProgress({});
    // It stands, and only the cart wasn't told yet: what is left then is a new order's.
    await completeCart(ctx, userId, error.cartId);
  }
  try {
    return await placeCart(parts, ctx, userId, idempotency);
  } catch (error) {
    if (error instanceof CartTaken) throw new OrderInProgress({});
    throw error;
  }
}

interface Idempotency {
  key: string;
  hash: string;
}

/** @throws CartTaken if another order has some of the cart */
async function placeCart(
  parts: OrdersParts,
  ctx: Ctx<CheckoutParams>,
  userId: string,
  idempotency: Idempotency | undefined,
): Promise<Placed> {
  const cart = await call(ctx, "cart.forCheckout", { user_id: userId });
  try {
    return await place(parts, ctx, userId, cart.items, cart, idempotency);
  } catch (error) {
    if (!isUniqueViolation(error, "orders_live_cart")) throw error;
    return await sameCart(parts, cart.cart_id);
  }
}

async function place(
  parts: OrdersParts,
  ctx: Ctx<CheckoutParams>,
  userId: string,
  wanted: readonly LineItem[],
  cart: OrderedCart | null,
  idempotency: Idempotency | undefined,
): Promise<Placed> {
  const items = mergeItems(wanted);
  if (items.length === 0) throw new CartEmpty({});
  const quotes = await call(ctx, "products.quote", { ids: items.map((item) => item.product_id) });
  const priced = priceItems(items, quotes);
  const { saga, record } = await write(parts, ctx.params, userId, priced, cart, idempotency);
  return { order: await driveCheckout(parts, ctx, saga, record), replayed: false };
}

/** One transaction: the key, the order, its items, its first history row, its saga, its job. */
async function write(
  parts: OrdersParts,
  params: CheckoutParams,
  userId: string,
  items: readonly PricedItem[],
  cart: OrderedCart | null,
  idempotency: Idempotency | undefined,
): Promise<{ record: OrderRecord; saga: SagaRow }> {
  const totals = totalsOf(items, parts.config);
  return await parts.db.transaction(async (tx) => {
    const id = newId();
    if (idempotency) await parts.answers.claim(tx, userId, idempotency.key, idempotency.hash, id);
    if (cart) await claimCart(parts.db, tx, userId, cart);
    const record = await parts.orders.insert(tx, {
      id,
      user_id: userId,
      items,
      totals,
      currency: parts.config.CURRENCY,
      shipping_address: params.shipping_address,
      cart_id: cart?.cart_id ?? null,
      synthetic: params.synthetic ?? false,
    });
    const saga = await parts.sagas.begin(tx, id, "checkout", {
      actor: "customer",
      ...(params.payment_method === undefined ? {} : { payment_method: params.payment_method }),
    });
    return { record, saga };
  });
}

/** @throws the failure that ended it; OrderOutcomeUnknown */
async function driveCheckout(
  parts: OrdersParts,
  ctx: Ctx,
  saga: SagaRow,
  record: OrderRecord,
): Promise<Order> {
  try {
    const driven = await driveSaga(parts, ctx, saga, record, WHILE_ASKED);
    if (driven.result.kind === "undone") throw failureOf(driven.result.refusal);
    const { order, items, history } = driven.record;
    if (order.cart_id !== null) await completeCart(ctx, order.user_id, order.cart_id);
    return orderView(order, items, history);
  } catch (error) {
    if (goesOn(error)) throw new OrderOutcomeUnknown({});
    throw error;
  }
}

/** So that the next GET /cart is empty. The durable event does it again where this fails. */
async function completeCart(ctx: Ctx, userId: string, cartId: string): Promise<void> {
  await call(ctx, "cart.complete", { user_id: userId, cart_id: cartId }).catch(() => undefined);
}

/** The same key again: the first answer, or, where its process died before one, the end of what it began. */
async function replay(parts: OrdersParts, ctx: Ctx, orderId: string, answer: Answer | null): Promise<Placed> {
  if (answer && "order" in answer) return { order: answer.order, replayed: true };
  if (answer) {
    markReplayed(ctx.meta);
    throw failureOf(answer.failure);
  }
  const saga = await parts.sagas.takeOverOf(orderId);
  if (!saga) throw new IdempotencyInProgress({});
  return { order: await driveCheckout(parts, ctx, saga, await parts.orders.get(orderId)), replayed: false };
}

/** The cart was ordered before, perhaps by this very click: that order is the answer. */
async function sameCart(parts: OrdersParts, cartId: string): Promise<Placed> {
  const first = await parts.orders.ofCart(cartId);
  if (!first || first.busy) throw new OrderInProgress({});
  return { order: await parts.orders.view(first.id), replayed: true };
}

export function markReplayed(meta: Meta): void {
  meta.$responseHeaders = { ...meta.$responseHeaders, "Idempotent-Replayed": "true" };
}
