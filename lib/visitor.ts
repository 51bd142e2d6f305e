import { createHash } from "node:crypto";

/**
 * Names a guest by their cart token without telling it: whoever reads the store or a report can't take the cart over.
 * @returns 64 hex digits
 */
export function guestHash(cartToken: string): string {
  return createHash("sha256").update(cartToken).digest("hex");
}

/** How analytics names people: never by what they typed, nor by an address. */
export const userVisitor = (userId: string) => `user:${userId}`;
export const guestVisitor = (cartToken: string) => `guest:${guestHash(cartToken)}`;
