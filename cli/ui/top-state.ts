import { withoutLast } from "../lib/output.ts";
import type { Sort } from "./top-layout.ts";
import { LISTS, type ListName } from "./top-lists.ts";

/** What somebody at `top` has chosen. What a key makes of it is told here alone. */
export interface TopState<View> {
  list: ListName;
  /** By list: a row's key. */
  selected: Readonly<Partial<Record<ListName, string>>>;
  sorts: Readonly<Record<ListName, Sort>>;
  filter: string;
  /** Whether keys go into the filter. */
  isTyping: boolean;
  /** What is shown while it is paused. */
  frozen: View | undefined;
  isHelp: boolean;
  /** The row that is looked into. */
  detail: { list: ListName; key: string } | undefined;
}

export type TopKey =
  | { name: "up" | "down" | "pageUp" | "pageDown" | "enter" | "escape" | "tab" | "backTab" | "backspace" }
  | { name: "text"; text: string };

/** What is on the screen when a key comes. */
export interface Before<View> {
  /** Keys of the active list's rows, as they are arranged. */
  keys: readonly string[];
  /** The columns that it can be sorted by. */
  columns: readonly { isNumber: boolean }[];
  view: View;
}

const PAGE = 10;
const AS_GIVEN: Sort = { column: null, descending: false };

export function startTop<View>(): TopState<View> {
  return {
    list: "services",
    selected: {},
    sorts: {
      services: AS_GIVEN,
      nodes: AS_GIVEN,
      orders: AS_GIVEN,
      sagas: AS_GIVEN,
      queues: AS_GIVEN,
      stock: AS_GIVEN,
    },
    filter: "",
    isTyping: false,
    frozen: undefined,
    isHelp: false,
    detail: undefined,
  };
}

/** Which row the cursor is on: the one that was chosen, else the first. */
export function cursorOf<V>({ selected, list }: TopState<V>, keys: readonly string[]): number {
  return Math.max(0, keys.indexOf(selected[list] ?? ""));
}

/** @returns the state after a key; null to quit */
export function press<V>(state: TopState<V>, key: TopKey, before: Before<V>): TopState<V> | null {
  if (state.isTyping) return typed(state, key);
  if (key.name === "text") return command(state, key.text, before);
  switch (key.name) {
    case "escape":
    case "backspace":
      if (state.isHelp) return { ...state, isHelp: false };
      if (state.detail) return { ...state, detail: undefined };
      return { ...state, filter: "" };
    case "enter":
      return state.detail || state.isHelp ? state : lookInto(state, before);
    case "tab":
      return toList(state, 1);
    case "backTab":
      return toList(state, -1);
    case "up":
      return moved(state, -1, before);
    case "down":
      return moved(state, 1, before);
    case "pageUp":
      return moved(state, -PAGE, before);
    case "pageDown":
      return moved(state, PAGE, before);
  }
}

function typed<V>(state: TopState<V>, key: TopKey): TopState<V> {
  switch (key.name) {
    case "text":
      return { ...state, filter: state.filter + key.text };
    case "backspace":
      return { ...state, filter: withoutLast(state.filter) };
    case "escape":
      return { ...state, filter: "", isTyping: false };
    default:
      return { ...state, isTyping: false };
  }
}

function command<V>(state: TopState<V>, text: string, before: Before<V>): TopState<V> | null {
  const number = LISTS[Number(text) - 1];
  if (number) return { ...state, list: number, filter: "", detail: undefined, isHelp: false };
  switch (text) {
    case "q":
      return null;
    case "?":
    case "h":
      return { ...state, isHelp: !state.isHelp };
    case " ":
      return { ...state, frozen: state.frozen === undefined ? before.view : undefined };
    case "/":
      return state.detail ? state : { ...state, isTyping: true, filter: "", isHelp: false };
    case "s":
      return sorted(state, ({ column }) => {
        const next = column === null ? 0 : column + 1;
        const chosen = before.columns[next];
        return chosen ? { column: next, descending: chosen.isNumber } : AS_GIVEN;
      });
    case "r":
      return sorted(state, ({ column, descending }) => ({ column, descending: !descending }));
    case "j":
      return moved(state, 1, before);
    case "k":
      return moved(state, -1, before);
    default:
      return state;
  }
}

function sorted<V>(state: TopState<V>, change: (sort: Sort) => Sort): TopState<V> {
  return { ...state, sorts: { ...state.sorts, [state.list]: change(state.sorts[state.list]) } };
}

function toList<V>(state: TopState<V>, step: number): TopState<V> {
  const index = (LISTS.indexOf(state.list) + step + LISTS.length) % LISTS.length;
  return { ...state, list: LISTS[index] ?? "services", filter: "", detail: undefined };
}

function moved<V>(state: TopState<V>, step: number, { keys }: Before<V>): TopState<V> {
  if (state.detail || state.isHelp || keys.length === 0) return state;
  const index = Math.min(keys.length - 1, Math.max(0, cursorOf(state, keys) + step));
  return { ...state, selected: { ...state.selected, [state.list]: keys[index] ?? "" } };
}

/** A queue and a product that runs low have said all in their line. */
function lookInto<V>(state: TopState<V>, { keys }: Before<V>): TopState<V> {
  const key = keys[cursorOf(state, keys)];
  if (key === undefined || state.list === "queues" || state.list === "stock") return state;
  return { ...state, detail: { list: state.list, key } };
}
