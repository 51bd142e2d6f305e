import Type from "typebox";

/**
 * Money is an integer of minor units (cents) inside the shop and a decimal number with two places on the wire.
 * No sum is ever made on decimals.
 */
export type MinorUnits = number;

/** The largest price of one product, in minor units (1,000,000.00). */
const MAX_PRICE: MinorUnits = 100_000_000;
/** The largest total of one order, in minor units: what a Postgres `integer` holds, less a margin for shipping and tax. */
export const MAX_ORDER_TOTAL: MinorUnits = 2_000_000_000;
/** Decimal places of a tax in percent: so many that an order's total by it is exact. */
export const TAX_PLACES = 4;

/** 2999 → 29.99 */
export function toDecimal(minor: MinorUnits): number {
  return minor / 100;
}

/** 29.99 → 2999. The argument has passed {@link Amount}. */
export function toMinor(decimal: number): MinorUnits {
  return Math.round(decimal * 100);
}

/** Whether a number has at most two decimal places: 29.99 yes, 29.999 no. */
export function hasTwoPlaces(value: number): boolean {
  return toDecimal(toMinor(value)) === value;
}

/** An amount on the wire: a decimal with at most two places. */
export const Amount = (options: { minimum?: number; maximum?: number; description?: string } = {}) =>
  Type.Refine(
    Type.Number({ minimum: 0, maximum: toDecimal(MAX_PRICE), examples: [29.99], ...options }),
    hasTwoPlaces,
    () => "must have at most two decimal places",
  );

/** An amount inside the shop: integer minor units. */
export const Minor = () => Type.Integer({ minimum: 0, maximum: MAX_ORDER_TOTAL, description: "minor units" });
