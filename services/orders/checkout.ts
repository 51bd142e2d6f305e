import { call } from "../../lib/call.ts";
import {
  CartEmpty,
  IdempotencyInProgress,
  isDefinite,
  OrderInProgress,
  OrderOutcomeUnknown,
} from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { Meta } from "../../lib/meta.ts";
import type { Ctx } from "../../lib/service.ts";
import { isUniqueViolation } from "../../lib/stores/database.ts";
import { requestHash } from "../../lib/stores/idempotency.ts";
import { isUnanswered } from "../../middlewares/failures.ts";
import type { LineItem } from "../inventory/inventory.contract.ts";
import { CartTaken, claimCart, type OrderedCart } from "./cart-claim.ts";
import { type Answer, failureOf } from "./checkout-answers.ts";
import { type KeyClaim, type NewOrder, placeOrder } from "./checkout-writes.ts";
import type { OrderRecord } from "./order-store.ts";
import { orderView } from "./order-view.ts";
import type { Order, ShippingAddress } from "./orders.contract.ts";
import { mergeItems, priceItems, totalsOf } from "./pricing.ts";
import type { OrdersParts } from "./saga-context.ts";
import { driveSaga, goesOn, WHILE_ASKED } from "./saga-driver.ts";
import type { SagaRow } from "./saga-records.ts";

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
  const key = ctx.meta.idempotencyKey;
  const claim = key === undefined ? undefined : { key, hash: requestHash(ctx.params) };
  const { items } = ctx.params;
  let placed: PlacedRecord;
  try {
    placed = items
      ? await place(parts, ctx, userId, items, null, claim)
      : await placeCart(parts, ctx, userId, claim);
  } catch (error) {
    // After anything but a refusal the order may have been written.
    if (isUnanswered(error)) throw new OrderOutcomeUnknown({});
    if (!isDefinite(error) && !(error instanceof CartOrdered)) throw error;
    // Refused perhaps because this request came before: its cart is empty now, its key taken.
    const known = claim && (await parts.answers.find(userId, claim.key, claim.hash));
    if (known) return await replay(parts, ctx, known.orderId, known.answer);
    if (error instanceof CartOrdered) return await sameCart(parts, error.cartId);
    throw error;
  }
  return { order: await driveCheckout(parts, ctx, placed.saga, placed.record), replayed: false };
}

/**
 * Places what is in the user's cart.
 * @throws CartOrdered; OrderInProgress if another order still has some of it
 */
async function placeCart(
  parts: OrdersParts,
  ctx: Ctx<CheckoutParams>,
  userId: string,
  claim: KeyClaim | undefined,
): Promise<PlacedRecord> {
  for (let attempt = 1; ; attempt++) {
    const cart = await call(ctx, "cart.forCheckout", { user_id: userId });
    try {
      return await place(parts, ctx, userId, cart.items, cart, claim);
    } catch (error) {
      if (isUniqueViolation(error, "orders_live_cart")) throw new CartOrdered(cart.cart_id);
      if (!(error instanceof CartTaken)) throw error;
      const other = await parts.orders.ofCart(error.cartId);
      if (attempt > 1 || other?.busy) throw new OrderInProgress({});
      // It stands, and only the cart wasn't told yet: what is left then is a new order's.
      await completeCart(ctx, userId, error.cartId);
    }
  }
}

/** Prices what is ordered and writes it down. @throws if it can't be ordered, or was before: nothing was written */
async function place(
  parts: OrdersParts,
  ctx: Ctx<CheckoutParams>,
  userId: string,
  wanted: readonly LineItem[],
  cart: OrderedCart | null,
  claim: KeyClaim | undefined,
): Promise<PlacedRecord> {
  const { params } = ctx;
  const items = mergeItems(wanted);
  if (items.length === 0) throw new CartEmpty({});
  const quotes = await call(ctx, "products.quote", { ids: items.map((item) => item.product_id) });
  const priced = priceItems(items, quotes);
  const order: NewOrder = {
    id: newId(),
    user_id: userId,
    items: priced,
    totals: totalsOf(priced, parts.config),
    currency: parts.config.CURRENCY,
    shipping_address: params.shipping_address,
    cart_id: cart?.cart_id ?? null,
    synthetic: params.synthetic ?? false,
  };
  const draft = parts.sagas.draft(order.id, "checkout", {
    actor: "customer",
    ...(params.payment_method === undefined ? {} : { payment_method: params.payment_method }),
  });
  if (!cart) return { record: await placeOrder(parts, order, draft, claim), saga: draft.saga };
  return await parts.db.transaction(async (tx) => {
    await claimCart(parts.db, tx, userId, cart);
    return { record: await placeOrder(parts, order, draft, claim, tx), saga: draft.saga };
  });
}

/** An order that was just written, with the saga that drives it. */
interface PlacedRecord {
  record: OrderRecord;
  saga: SagaRow;
}

/** This filling of the cart was ordered before. */
class CartOrdered extends Error {
  readonly cartId: string;
  constructor(cartId: string) {
    super("The cart was ordered before");
    this.cartId = cartId;
  }
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
