import { describe, expect, it } from "@jest/globals";
import { canBecome, ORDER_STATUSES, predecessorsOf } from "../../services/orders/order-state.ts";

describe("the order's states", () => {
  const allowed = new Set([
    "pending → confirmed",
    "confirmed → processing",
    "processing → shipped",
    "shipped → delivered",
    "pending → cancelled",
    "confirmed → cancelled",
    "processing → cancelled",
    "shipped → refunded",
    "delivered → refunded",
  ]);

  for (const from of ORDER_STATUSES) {
    for (const to of ORDER_STATUSES) {
      const step = `${from} → ${to}`;
      it(`${step} is ${allowed.has(step) ? "allowed" : "refused"}`, () => {
        expect(canBecome(from, to)).toBe(allowed.has(step));
        expect(predecessorsOf(to).includes(from)).toBe(allowed.has(step));
      });
    }
  }
});
