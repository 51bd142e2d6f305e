import { Box, type Key as InkKey, Text, useInput, useWindowSize } from "ink";
import { createElement as h, type ReactElement, useEffect, useRef, useState } from "react";
import type { Product } from "../../services/products/products.contract.ts";
import { type Draft, subtotalOf } from "../actions/order-place.ts";
import { clean, clip, money, pad, plural } from "../lib/output.ts";
import { windowOf } from "./top-layout.ts";
import {
  type Key,
  next,
  PAYMENTS,
  quantityOf,
  type Step,
  startWizard,
  type WizardEvent,
  type WizardState,
} from "./wizard-state.ts";

interface Props {
  search: (words: string) => Promise<Product[]>;
  address: string;
  payment: string | undefined;
  done: (draft: Draft | undefined) => void;
  /** ms that typing must rest before the shop is asked. */
  rest?: number;
}

const STEPS: readonly Step[] = ["products", "address", "payment", "confirm"];
const KEYS: Record<Step, string> = {
  products: "type to search · ↑↓ choose · ⏎ one more · ← one less · Tab goes on · Esc leaves",
  address: "⏎ goes on · Esc goes back",
  payment: "↑↓ choose · ⏎ goes on · Esc goes back",
  confirm: "⏎ places the order · Esc goes back",
};
const NAME_WIDTH = 42;
const SAYS_WIDTH = Math.max(...PAYMENTS.map(({ says }) => says.length));
/** Lines above and below a step, and the one that the cursor stands in. */
const AROUND = 7;

/** Leads through an order: products found as one types, address, payment, confirmation. */
export function OrderWizard({ search, address, payment, done, rest = 120 }: Props): ReactElement {
  const [state, setState] = useState(() => startWizard(address, payment));
  // Two keys may come between two renders: the newest state is here.
  const latest = useRef(state);

  const send = (event: WizardEvent) => {
    const outcome = next(latest.current, event);
    if ("end" in outcome) done(outcome.end);
    else {
      latest.current = outcome;
      setState(outcome);
    }
  };

  /** As far as the step goes: what Enter means there is meant, what it means in the next one may not be. */
  const sendHeld = (keys: readonly Key[]) => {
    const { step } = latest.current;
    for (const key of keys) if (latest.current.step === step) send({ type: "key", key });
  };

  useInput((text, key) => {
    if (key.ctrl && text === "c") return done(undefined);
    const name = nameOf(key);
    const held = heldKeys(text);
    if (name) send({ type: "key", key: name });
    else if (held.length > 0) sendHeld(held);
    else if (!key.ctrl && !key.meta && text !== "") send({ type: "text", text: clean(text) });
  });

  const { rows } = useWindowSize();
  const { query } = state;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is asked depends on what was typed, and nothing else
  useEffect(() => {
    const timer = setTimeout(() => {
      search(query).then(
        (products) => send({ type: "found", query, products }),
        (error: Error) => send({ type: "failed", query, message: error.message }),
      );
    }, rest);
    return () => clearTimeout(timer);
  }, [query]);

  return h(
    Box,
    { flexDirection: "column" },
    h(Header, { step: state.step }),
    h(Text, null, " "),
    ...body(state, rows - AROUND),
    h(Text, null, " "),
    h(CartLine, { state }),
    h(Text, { color: "yellow", wrap: "truncate" }, state.hint || " "),
    h(Text, { dimColor: true, wrap: "truncate" }, KEYS[state.step]),
  );
}

function nameOf(key: InkKey): Key | undefined {
  if (key.upArrow) return "up";
  if (key.downArrow) return "down";
  if (key.leftArrow) return "left";
  if (key.rightArrow) return "right";
  if (key.return) return "enter";
  if (key.tab) return "tab";
  if (key.escape) return "escape";
  return key.backspace || key.delete ? "backspace" : undefined;
}

/** A key held down over a slow line comes several times in one text; one within other text was pasted. */
function heldKeys(text: string): Key[] {
  const held = [...text].flatMap((letter) => HELD[letter] ?? []);
  return held.length === text.length ? held : [];
}

const HELD: Partial<Record<string, Key>> = {
  "\r": "enter",
  "\t": "tab",
  "\u007f": "backspace",
  "\b": "backspace",
};

function Header({ step }: { step: Step }): ReactElement {
  const parts = STEPS.map((one, index) =>
    h(Text, { key: one, bold: one === step, dimColor: one !== step }, `${index > 0 ? " › " : ""}${one}`),
  );
  return h(Text, { wrap: "truncate" }, h(Text, { color: "green" }, "New order  "), ...parts);
}

const titleOf = ({ name }: Product) => pad(clip(clean(name), NAME_WIDTH), NAME_WIDTH);

/** @param room lines that there are for it */
function body(state: WizardState, room: number): ReactElement[] {
  switch (state.step) {
    case "products":
      return productsBody(state, room);
    case "address":
      return [h(Text, { key: "address" }, "To: ", h(Text, { color: "cyan" }, state.address), "▏")];
    case "payment":
      return PAYMENTS.map(({ method = "", says }, index) =>
        choice({
          key: method,
          isChosen: index === state.cursor,
          text: says.padEnd(SAYS_WIDTH),
          note: method,
        }),
      );
    case "confirm":
      return confirmBody(state, room);
  }
}

function productsBody(state: WizardState, room: number): ReactElement[] {
  const { start, end } = windowOf(state.found.length, Math.max(1, room - 1), state.cursor);
  return [
    h(Text, { key: "query" }, "Search: ", h(Text, { color: "cyan" }, state.query), "▏"),
    ...state.found.slice(start, end).map((product, index) =>
      choice({
        key: String(product.id),
        isChosen: start + index === state.cursor,
        count: quantityOf(state, product),
        text: `${titleOf(product)} ${money(product.price, product.currency).padStart(13)}`,
        note: `${product.stock_quantity} left`,
      }),
    ),
    ...(state.found.length === 0 ? [h(Text, { key: "none", dimColor: true }, "  nothing found")] : []),
  ];
}

function confirmBody({ lines, address, payment }: WizardState, room: number): ReactElement[] {
  // Below them stand the address and the payment, and how many more there are.
  const shown = lines.length <= room - 2 ? lines : lines.slice(0, Math.max(1, room - 3));
  const more = lines.length - shown.length;
  return [
    ...shown.map(({ product, quantity }) =>
      h(
        Text,
        { key: String(product.id), wrap: "truncate" },
        `  ${String(quantity).padStart(3)} × ${titleOf(product)} ${money(subtotalOf({ lines: [{ product, quantity }] }), product.currency).padStart(13)}`,
      ),
    ),
    ...(more > 0
      ? [h(Text, { key: "more", dimColor: true }, `        and ${plural(more, "more product")}`)]
      : []),
    h(Text, { key: "to", wrap: "truncate" }, `  to ${address}`),
    h(Text, { key: "by" }, `  paid ${payment === undefined ? "later" : `by ${payment}`}`),
  ];
}

function choice(props: {
  key: string;
  isChosen: boolean;
  text: string;
  note: string;
  count?: number;
}): ReactElement {
  const { key, isChosen, text, note, count = 0 } = props;
  const mark = `${isChosen ? "❯" : " "} ${count > 0 ? `${count}×`.padStart(4) : "    "} `;
  return h(
    Text,
    { key, wrap: "truncate", ...(isChosen ? { color: "green" } : {}) },
    `${mark}${text}  `,
    h(Text, { dimColor: true }, note),
  );
}

function CartLine({ state }: { state: WizardState }): ReactElement {
  const { lines } = state;
  const pieces = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  const currency = lines[0]?.product.currency ?? "";
  const text =
    pieces === 0 ? "nothing picked yet" : `${plural(pieces, "piece")}, ${money(subtotalOf(state), currency)}`;
  return h(Text, { bold: pieces > 0 }, `Cart: ${text}`);
}
