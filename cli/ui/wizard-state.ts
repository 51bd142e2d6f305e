import type { Product } from "../../services/products/products.contract.ts";
import type { Draft } from "../actions/order-place.ts";
import { withoutLast } from "../lib/output.ts";

/** The sandbox's test methods, and what comes of them. */
export const PAYMENTS = [
  { method: "pm_card_visa", says: "Visa: succeeds" },
  { method: "pm_card_mastercard", says: "Mastercard: succeeds" },
  { method: "pm_card_chargeDeclined", says: "a card that is declined" },
  { method: "pm_card_chargeDeclinedInsufficientFunds", says: "a card without funds" },
  { method: undefined, says: "later: its stock stays reserved" },
] as const;

export type Step = "products" | "address" | "payment" | "confirm";

export interface WizardState {
  step: Step;
  /** What was typed to search for. */
  query: string;
  found: readonly Product[];
  /** The line that is chosen, of what was found or of the payments. */
  cursor: number;
  lines: Draft["lines"];
  address: string;
  payment: string | undefined;
  /** Why one can't go on. */
  hint: string;
}

export type Key = "up" | "down" | "left" | "right" | "enter" | "tab" | "escape" | "backspace";
export type WizardEvent =
  | { type: "key"; key: Key }
  | { type: "text"; text: string }
  | { type: "found"; query: string; products: readonly Product[] }
  | { type: "failed"; query: string; message: string };

/** What the keys have made of it: an end, or the next state. */
export type Outcome = WizardState | { end: Draft | undefined };

const MAX_QUANTITY = 10_000;

export function startWizard(address: string, payment: string | undefined): WizardState {
  return { step: "products", query: "", found: [], cursor: 0, lines: [], address, payment, hint: "" };
}

/** One event of the wizard. Pure: the component draws what it gives. */
export function next(state: WizardState, event: WizardEvent): Outcome {
  if (event.type === "found" || event.type === "failed") {
    // An answer to what was typed before comes too late.
    if (event.query !== state.query) return state;
    return event.type === "found"
      ? { ...state, found: event.products, cursor: state.step === "products" ? 0 : state.cursor, hint: "" }
      : { ...state, found: [], hint: event.message };
  }
  const fresh = { ...state, hint: "" };
  switch (state.step) {
    case "products":
      return atProducts(fresh, event);
    case "address":
      return atAddress(fresh, event);
    case "payment":
      return atPayment(fresh, event);
    case "confirm":
      return atConfirm(fresh, event);
  }
}

type Typed = Extract<WizardEvent, { type: "key" | "text" }>;

function atProducts(state: WizardState, event: Typed): Outcome {
  if (event.type === "text") return { ...state, query: state.query + event.text };
  switch (event.key) {
    case "backspace":
      return { ...state, query: withoutLast(state.query) };
    case "up":
    case "down":
      return moved(state, event.key, state.found.length);
    case "enter":
    case "right":
      return changed(state, 1);
    case "left":
      return changed(state, -1);
    case "tab":
      return state.lines.length > 0
        ? { ...state, step: "address" }
        : { ...state, hint: "Pick a product first." };
    case "escape":
      return { end: undefined };
  }
}

function atAddress(state: WizardState, event: Typed): Outcome {
  if (event.type === "text") return { ...state, address: state.address + event.text };
  switch (event.key) {
    case "backspace":
      return { ...state, address: withoutLast(state.address) };
    case "enter":
    case "tab": {
      if (state.address.trim() === "") return { ...state, hint: "Where should it go?" };
      const chosen = PAYMENTS.findIndex(({ method }) => method === state.payment);
      return { ...state, step: "payment", cursor: state.payment === undefined ? 0 : Math.max(0, chosen) };
    }
    case "escape":
      return { ...state, step: "products", cursor: 0 };
    default:
      return state;
  }
}

function atPayment(state: WizardState, event: Typed): Outcome {
  if (event.type === "text") return state;
  switch (event.key) {
    case "up":
    case "down":
      return moved(state, event.key, PAYMENTS.length);
    case "enter":
    case "tab":
      return { ...state, step: "confirm", payment: PAYMENTS[state.cursor]?.method };
    case "escape":
      return { ...state, step: "address" };
    default:
      return state;
  }
}

function atConfirm(state: WizardState, event: Typed): Outcome {
  if (event.type === "key" && event.key === "enter") {
    const { lines, address, payment } = state;
    return { end: { lines, address, payment } };
  }
  return event.type === "key" && event.key === "escape" ? { ...state, step: "payment", cursor: 0 } : state;
}

function moved(state: WizardState, key: "up" | "down", count: number): WizardState {
  const cursor = state.cursor + (key === "down" ? 1 : -1);
  return { ...state, cursor: Math.max(0, Math.min(count - 1, cursor)) };
}

/** One more or one less of the product under the cursor; none takes it out. */
function changed(state: WizardState, by: number): WizardState {
  const product = state.found[state.cursor];
  if (!product)
    return { ...state, hint: state.query === "" ? "Type what you look for." : "Nothing was found." };
  const now = quantityOf(state, product) + by;
  if (now > Math.min(MAX_QUANTITY, product.stock_quantity)) {
    return { ...state, hint: `There are only ${product.stock_quantity} of it.` };
  }
  const isThere = state.lines.some((line) => line.product.id === product.id);
  const lines = isThere
    ? state.lines.map((line) => (line.product.id === product.id ? { product, quantity: now } : line))
    : [...state.lines, { product, quantity: now }];
  return { ...state, lines: lines.filter(({ quantity }) => quantity > 0) };
}

export function quantityOf({ lines }: WizardState, { id }: Product): number {
  return lines.find(({ product }) => product.id === id)?.quantity ?? 0;
}
