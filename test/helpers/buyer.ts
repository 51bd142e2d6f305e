import { randomBytes } from "node:crypto";
import { send } from "./client.ts";
import type { Shop } from "./shop.ts";

/** By what a buyer is known: a guest by their cart token, a user by their access token. */
export interface Named {
  token?: string;
  cartToken?: string;
}

export type Buyer = ReturnType<typeof buyerOf>;

/** A cart token of the shape that the shop gives. */
export const newCartToken = () => randomBytes(32).toString("base64url");

/** What a buyer asks of their cart, over REST. */
export function buyerOf(shop: Shop, { token, cartToken }: Named) {
  const headers: Record<string, string> = cartToken === undefined ? {} : { "X-Cart-Token": cartToken };
  const ask = (method: string, path: string, body?: object) =>
    send(shop, method, `/api/cart${path}`, body, { token, headers });
  return {
    cartToken: cartToken ?? "",
    get: () => ask("GET", ""),
    add: (product_id: number, quantity?: number) => ask("POST", "/items", { product_id, quantity }),
    set: (product_id: number, quantity: number) => ask("PUT", `/items/${product_id}`, { quantity }),
    remove: (product_id: number) => ask("DELETE", `/items/${product_id}`),
    clear: () => ask("DELETE", ""),
    validate: () => ask("POST", "/validate"),
    ask,
  };
}
