import { Errors } from "moleculer";

/**
 * Every failure the shop means to show. A subclass has one stable `code` (Moleculer's `type`, the REST body's `code`),
 * one HTTP status and a sentence a user understands.
 *
 * Errors lose their class on the way between nodes, so match them with {@link isFailure}, never with `instanceof`.
 */
export class ShopError extends Errors.MoleculerError {
  constructor(message: string, status: number, type: string, data: object, retryable: boolean) {
    super(message, status, type, data);
    this.name = new.target.name;
    this.retryable = retryable;
  }
}

/** The codes of all failures declared here. */
const codes = new Set<string>();

export interface FailureClass<D extends object> {
  new (data: D): ShopError;
  readonly code: string;
  readonly status: number;
}

/** Declares a failure: its stable code, HTTP status, sentence, and whether the same request may succeed later. */
function failure<D extends object = Record<never, never>>(
  code: string,
  status: number,
  sentence: string | ((data: D) => string),
  retryable = false,
) {
  codes.add(code);
  return class Failure extends ShopError {
    static readonly code: string = code;
    static readonly status: number = status;
    constructor(data: D) {
      super(typeof sentence === "string" ? sentence : sentence(data), status, code, data, retryable);
    }
  };
}

/** True if `error` is that failure, also after it crossed the transporter. */
export function isFailure<D extends object>(error: unknown, ...kinds: FailureClass<D>[]): boolean {
  return kinds.some((kind) => kind.code === failureCode(error));
}

/** The stable code of an error, or undefined if it has none. */
export function failureCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("type" in error)) return undefined;
  return typeof error.type === "string" ? error.type : undefined;
}

/** The data of a failure as a plain object; empty if there is none. */
export function failureData(error: unknown): Record<string, unknown> {
  if (typeof error !== "object" || error === null || !("data" in error)) return {};
  return typeof error.data === "object" && error.data !== null ? { ...error.data } : {};
}

/**
 * True if a participant said clearly that it did not and will not do what was asked: one of the shop's own 4xx.
 * Everything else (timeout, lost node, no such service yet, 5xx) leaves the outcome unknown.
 */
export function isDefinite(error: unknown): error is ShopError {
  if (typeof error !== "object" || error === null || !("code" in error)) return false;
  const { code } = error;
  return (
    codes.has(failureCode(error) ?? "") &&
    typeof code === "number" &&
    code >= 400 &&
    code < 500 &&
    code !== 429
  );
}

// --- requests ---------------------------------------------------------------------------------------------------

export interface Violation {
  /** Where, as a JSON pointer: `/items/0/quantity`. */
  path: string;
  message: string;
}
export class ValidationFailed extends failure<{ violations: Violation[] }>("VALIDATION_FAILED", 422, (d) => {
  const [first] = d.violations;
  return first ? `${first.path || "The request"}: ${first.message}.` : "The request's values are not valid.";
}) {}
export class MalformedRequest extends failure<{ reason: string }>(
  "MALFORMED_REQUEST",
  400,
  (d) => d.reason,
) {}
export class NotFound extends failure<{ what: string; id?: string | number }>("NOT_FOUND", 404, (d) =>
  d.id === undefined ? `There is no such ${d.what}.` : `There is no ${d.what} ${d.id}.`,
) {}
export class RouteNotFound extends failure("ROUTE_NOT_FOUND", 404, "There is nothing at this address.") {}
export class MethodNotAllowed extends failure<{ allow: readonly string[] }>(
  "METHOD_NOT_ALLOWED",
  405,
  (d) => `This address takes ${d.allow.join(", ")}.`,
) {}
export class RequestTooSlow extends failure(
  "REQUEST_TOO_SLOW",
  408,
  "The request did not arrive in time.",
  true,
) {}
export class AddressTooLong extends failure<{ limit_bytes: number }>(
  "ADDRESS_TOO_LONG",
  414,
  (d) => `The address is longer than the ${d.limit_bytes} bytes allowed.`,
) {}
export class HeadersTooLarge extends failure(
  "HEADERS_TOO_LARGE",
  431,
  "The request's headers are larger than allowed.",
) {}
export class PayloadTooLarge extends failure<{ limit_bytes: number }>(
  "PAYLOAD_TOO_LARGE",
  413,
  (d) => `The request is larger than the ${d.limit_bytes} bytes allowed here.`,
) {}
export class UnsupportedMediaType extends failure<{ expected: string }>(
  "UNSUPPORTED_MEDIA_TYPE",
  415,
  (d) => `Send the body as ${d.expected}.`,
) {}
export class RateLimited extends failure<{ retry_after: number }>(
  "RATE_LIMITED",
  429,
  (d) => `Too many requests: try again in ${d.retry_after} s.`,
  true,
) {}
export class Unavailable extends failure<{ retry_after: number }>(
  "SERVICE_UNAVAILABLE",
  503,
  "The shop can't answer this right now. Try again shortly.",
  true,
) {}

// --- identity ---------------------------------------------------------------------------------------------------

export class Unauthenticated extends failure("UNAUTHENTICATED", 401, "Log in to do this.") {}
export class InvalidToken extends failure("INVALID_TOKEN", 401, "The token is not valid or has expired.") {}
export class InvalidCredentials extends failure("INVALID_CREDENTIALS", 401, "Email or password is wrong.") {}
export class Forbidden extends failure("FORBIDDEN", 403, "You are not allowed to do this.") {}
export class EmailTaken extends failure("EMAIL_TAKEN", 409, "There is already an account with this email.") {}
export class AdminLockout extends failure(
  "ADMIN_LOCKOUT",
  409,
  "An admin can't deactivate or demote themselves, nor the last active admin.",
) {}
export class TooManyAddresses extends failure<{ limit: number }>(
  "TOO_MANY_ADDRESSES",
  409,
  (d) => `An account keeps at most ${d.limit} addresses: remove one first.`,
) {}

// --- catalogue and stock ----------------------------------------------------------------------------------------

export class SkuTaken extends failure<{ sku: string }>(
  "SKU_TAKEN",
  409,
  (d) => `SKU ${d.sku} is already in use.`,
) {}
export class SlugTaken extends failure<{ slug: string }>(
  "SLUG_TAKEN",
  409,
  (d) => `There is already a category ${d.slug}.`,
) {}
export class CategoryInUse extends failure<{ products: number; children: number }>(
  "CATEGORY_IN_USE",
  409,
  "The category still has products or subcategories: move them first.",
) {}
export class CategoryCycle extends failure("CATEGORY_CYCLE", 409, "A category can't stand below itself.") {}
export interface Shortage {
  product_id: number;
  requested: number;
  available: number;
}
export class InsufficientStock extends failure<{ items: Shortage[] }>("INSUFFICIENT_STOCK", 409, (d) =>
  d.items.map((i) => `Only ${i.available} of product ${i.product_id} are available.`).join(" "),
) {}
export class BelowReserved extends failure<{ product_id: number; reserved: number }>(
  "BELOW_RESERVED",
  409,
  (d) => `${d.reserved} are reserved for orders under way: the stock can't go below that.`,
) {}
export class ReservationReleased extends failure<{ order_id: string }>(
  "RESERVATION_RELEASED",
  409,
  "The reservation has been released.",
) {}

// --- cart and checkout ------------------------------------------------------------------------------------------

export class CartEmpty extends failure("CART_EMPTY", 422, "There is nothing in the cart to order.") {}
export class ProductUnavailable extends failure<{ product_ids: number[] }>(
  "PRODUCT_UNAVAILABLE",
  409,
  "Some of the products are no longer sold.",
) {}
export class IdempotencyInProgress extends failure(
  "IDEMPOTENCY_IN_PROGRESS",
  409,
  "The first request under this idempotency key is still under way.",
  true,
) {}
export class IdempotencyMismatch extends failure(
  "IDEMPOTENCY_MISMATCH",
  422,
  "This idempotency key was used with another request.",
) {}
export class OrderInProgress extends failure(
  "ORDER_IN_PROGRESS",
  409,
  "The order is being processed right now. Try again in a moment.",
  true,
) {}
export class InvalidTransition extends failure<{ from: string; to: string; allowed: readonly string[] }>(
  "INVALID_TRANSITION",
  409,
  (d) =>
    `An order that is ${d.from} can't become ${d.to}${d.allowed.length > 0 ? `, only ${d.allowed.join(" or ")}` : ""}.`,
) {}
export class OrderNotPayable extends failure<{ status: string }>(
  "ORDER_NOT_PAYABLE",
  409,
  (d) => `An order that is ${d.status} can't be paid.`,
) {}
/** The order stands in the database and will be finished or undone; only this request can't wait for it. */
export class OrderOutcomeUnknown extends failure(
  "ORDER_OUTCOME_UNKNOWN",
  504,
  "The order is taking longer than usual. It is safe to ask again with the same idempotency key.",
  true,
) {}
export class AmountTooLarge extends failure(
  "AMOUNT_TOO_LARGE",
  422,
  "The order's total is larger than one order may be.",
) {}

// --- payments ---------------------------------------------------------------------------------------------------

export class PaymentDeclined extends failure<{ reason: string }>("PAYMENT_DECLINED", 402, (d) =>
  d.reason === "insufficient_funds" ? "The card has insufficient funds." : "The card was declined.",
) {}
export class InvalidPaymentMethod extends failure<{ payment_method: string }>(
  "INVALID_PAYMENT_METHOD",
  422,
  "This payment method is not known.",
) {}
export class PaymentProviderUnavailable extends failure<{ retry_after: number }>(
  "PAYMENT_PROVIDER_UNAVAILABLE",
  503,
  "The payment provider can't be reached. Nothing was charged.",
  true,
) {}
/** Never compensated on: asked again under the same key, the provider gives the one answer there is. */
export class PaymentOutcomeUnknown extends failure(
  "PAYMENT_OUTCOME_UNKNOWN",
  504,
  "The payment provider did not answer in time, and may still do it. It is safe to ask again with the same idempotency key.",
  true,
) {}
export class RefundTooLarge extends failure<{ refundable: number }>(
  "REFUND_TOO_LARGE",
  409,
  "That is more than is left to refund of this payment.",
) {}
export class NotRefundable extends failure<{ status: string }>(
  "NOT_REFUNDABLE",
  409,
  (d) => `A payment that is ${d.status} can't be refunded.`,
) {}
export class RefundRefused extends failure<{ reason: string }>(
  "REFUND_REFUSED",
  409,
  "The payment provider refuses this refund.",
) {}
/** A mail that waits or was sent is not sent twice at an admin's wish, and one that was kept not at all. */
export class MailNotFailed extends failure<{ status: string }>(
  "MAIL_NOT_FAILED",
  409,
  (d) => `Only a mail that failed can be sent again: this one is ${d.status}.`,
) {}
export class InvalidSignature extends failure(
  "INVALID_SIGNATURE",
  401,
  "The signature does not match the body.",
) {}
