import type { TSchema } from "typebox";
import { analyticsContract } from "../../services/analytics/analytics.contract.ts";
import { Cart } from "../../services/cart/cart.contract.ts";
import { Product } from "../../services/products/products.contract.ts";
import type { Desk } from "../lib/checkout.ts";
import type { Client, RequestOptions } from "../lib/client.ts";
import { Cancelled, CliError, NoAnswer, ShopRefused } from "../lib/errors.ts";
import { patiently } from "../lib/patience.ts";
import type { Random } from "../lib/random.ts";
import type { FlowFigures } from "./flow-figures.ts";
import { ProductPage } from "./products.ts";

/** How a visit ends. */
export const KINDS = ["browse", "abandon", "pay", "decline", "cancel"] as const;
export type Kind = (typeof KINDS)[number];

export interface Visit {
  kind: Kind;
  /** Makes its requests' keys unique. */
  key: string;
  /** The customer's access token. */
  token: string;
  random: Random;
  /** What can be bought; not empty. */
  catalogue: readonly Product[];
}

interface Shop {
  client: Client;
  /** Where they order, pay and cancel. */
  desk: Desk;
  figures: FlowFigures;
  signal: AbortSignal;
}

const CARDS = ["pm_card_visa", "pm_card_mastercard", "pm_card_amex"];
const BAD_CARDS = ["pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds"];
const STREETS = ["Analytical Row", "Harbour Street", "Mill Lane", "Orchard Road"];
const CITIES = ["London", "Lisbon", "Tallinn", "Vienna"];
/** What other customers may have bought meanwhile: no failure. */
const SOLD_OUT = new Set(["INSUFFICIENT_STOCK", "PRODUCT_UNAVAILABLE"]);

/**
 * One customer's visit, from the first look to its end. A refusal that no customer should meet is counted as failed.
 * @returns false then
 */
export async function visit(shop: Shop, visit: Visit): Promise<boolean> {
  const { figures } = shop;
  figures.add("visits");
  try {
    await browse(shop, visit);
    if (visit.kind !== "browse") await fillCart(shop, visit);
    if (visit.kind === "browse") return true;
    if (visit.kind === "abandon") figures.add("abandoned");
    else await buy(shop, visit);
    return true;
  } catch (error) {
    if (!(error instanceof CliError) || error instanceof Cancelled) throw error;
    const code = codeOf(error);
    if (SOLD_OUT.has(code)) figures.add("sold_out");
    else figures.fail(code);
    return SOLD_OUT.has(code);
  }
}

function codeOf(error: CliError): string {
  if (error instanceof ShopRefused) return error.code;
  return error instanceof NoAnswer ? "no answer" : "outcome unknown";
}

/** A request in the customer's name. */
async function ask<S extends TSchema>(
  { client, figures, signal }: Shop,
  { token }: Visit,
  method: string,
  path: string,
  result: S,
  options: RequestOptions = {},
) {
  return await patiently(
    () => figures.time(() => client.request(method, path, result, { ...options, token })),
    signal,
  );
}

async function browse(shop: Shop, visit: Visit): Promise<void> {
  const { random, catalogue } = visit;
  const events = [{ type: "visit", properties: { synthetic: true } }];
  await ask(shop, visit, "POST", "/api/analytics/events", analyticsContract.actions.record.result, {
    body: { events },
  });
  const words = random
    .pick(catalogue)
    .name.split(/\s+/)
    .filter((word) => word.length > 2);
  if (words.length > 0) {
    const query = { search: random.pick(words), limit: 20 };
    await ask(shop, visit, "GET", "/api/products", ProductPage, { query });
    shop.figures.add("searches");
  }
  for (let views = random.int(1, 3); views > 0; views--) {
    await ask(shop, visit, "GET", `/api/products/${random.pick(catalogue).id}`, Product);
    shop.figures.add("views");
  }
}

/** The worker's last visitor may have left something in it. */
async function fillCart(shop: Shop, visit: Visit): Promise<void> {
  const { random, catalogue } = visit;
  await ask(shop, visit, "DELETE", "/api/cart", Cart);
  for (let items = random.int(1, 3); items > 0; items--) {
    const body = { product_id: random.pick(catalogue).id, quantity: random.int(1, 2) };
    await ask(shop, visit, "POST", "/api/cart/items", Cart, { body });
  }
  shop.figures.add("carts");
}

async function buy(shop: Shop, visit: Visit): Promise<void> {
  const { desk, figures, signal } = shop;
  const { kind, key, token, random } = visit;
  const method = random.pick(kind === "decline" ? BAD_CARDS : CARDS);
  const paysLater = random.next() < 0.5;
  const body = {
    shipping_address: `${random.int(1, 99)} ${random.pick(STREETS)}, ${random.pick(CITIES)}`,
    synthetic: true,
    ...(paysLater ? {} : { payment_method: method }),
  };
  try {
    const timed = <T>(request: () => Promise<T>) =>
      patiently(() => figures.time(request, { isCheckout: true }), signal);
    let order = await timed(() => desk.order(`${key}-order`, body, token));
    figures.add("orders");
    if (paysLater) {
      const payment = { order_id: order.id, payment_method: method };
      await timed(() => desk.pay(`${key}-pay`, payment, token));
    }
    figures.add("paid");
    figures.earn(order.total_amount, order.currency);
    if (kind === "cancel") {
      order = await patiently(
        () => figures.time(() => desk.cancel(order.id, "changed my mind", token)),
        signal,
      );
      figures.add("cancelled");
      figures.earn(-order.total_amount, order.currency);
    }
  } catch (error) {
    if (kind !== "decline" || !(error instanceof ShopRefused) || error.code !== "PAYMENT_DECLINED")
      throw error;
    figures.add("declined");
  }
}

/** Reads `browse=40,pay=60`. @throws TypeError with what is wrong */
export function readMix(text: string): [Kind, number][] {
  const mix = text.split(",").map((part): [Kind, number] => {
    const [name = "", weight = ""] = part.split("=").map((word) => word.trim());
    const kind = KINDS.find((one) => one === name);
    if (!kind) throw new TypeError(`there is no kind ${name || "without a name"}, only ${KINDS.join(", ")}`);
    if (!/^\d+(\.\d+)?$/.test(weight)) throw new TypeError(`${name} needs a weight, like ${name}=10`);
    return [kind, Number(weight)];
  });
  if (mix.every(([, weight]) => weight === 0)) throw new TypeError("all weights are 0");
  return mix;
}

/** One of the kinds, each as often as its weight says. */
export function pickKind(mix: readonly [Kind, number][], random: Random): Kind {
  let left = random.next() * mix.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of mix) {
    left -= weight;
    if (left < 0) return kind;
  }
  return mix.findLast(([, weight]) => weight > 0)?.[0] ?? "browse";
}
