import type { Column, List, ListName, Row } from "./top-lists.ts";
import { LISTS } from "./top-lists.ts";

/** What goes where on a screen of any size. Nothing here knows of Ink. */

export interface Sort {
  /** Index of a column; null: the order that the shop gave. */
  column: number | null;
  descending: boolean;
}

/** The rows that a filter leaves, in order. Equal ones keep the order they came in. */
export function arranged({ rows }: List, filter: string, { column, descending }: Sort): Row[] {
  const words = filter.toLowerCase();
  const left = rows.filter(({ cells }) => cells.some((cell) => cell.toLowerCase().includes(words)));
  if (column === null) return descending ? left.reverse() : left;
  const sign = descending ? -1 : 1;
  return left.sort((a, b) => sign * compare(a.values[column], b.values[column]));
}

function compare(a: string | number | undefined, b: string | number | undefined): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

/** The part of `count` rows that is seen through `height` lines, so that the row at `cursor` is in it. */
export function windowOf(count: number, height: number, cursor: number): { start: number; end: number } {
  const start = Math.max(0, Math.min(cursor - Math.floor(height / 2), count - height));
  return { start, end: Math.min(count, start + height) };
}

export interface Part {
  name: ListName;
  /** Lines for its rows; its header has one more. */
  rows: number;
}

/**
 * Shares out the lines of a screen: first to the list that is worked with, then to each other that can show a
 * row or more, with a blank line between. Only the active list is there if it is empty.
 * @param counts rows of the lists that may be shown
 */
export function partsOf(
  height: number,
  active: ListName,
  counts: Readonly<Partial<Record<ListName, number>>>,
): Part[] {
  const rows = new Map<ListName, number>();
  let left = height;
  for (const name of [active, ...LISTS.filter((one) => one !== active)]) {
    const count = counts[name] ?? 0;
    if (name !== active && count === 0) continue;
    const around = name === active ? 1 : 2;
    if (left < around + 1) break;
    const given = Math.min(Math.max(1, count), left - around);
    rows.set(name, given);
    left -= given + around;
  }
  return LISTS.flatMap((name) => {
    const given = rows.get(name);
    return given === undefined ? [] : [{ name, rows: given }];
  });
}

/** Blanks between two columns. */
export const GAP = 2;

/** Widths of the columns on a terminal so wide: null for one that is not shown. The first takes what is left. */
export function widthsOf(columns: readonly Column[], rows: readonly Row[], width: number): (number | null)[] {
  // Beside a title there is room for the mark of the order.
  const wanted = columns.map(({ width: least, title }, index) =>
    Math.max(least, title.length + 1, ...rows.map(({ cells }) => cells[index]?.length ?? 0)),
  );
  const first = columns[0]?.width ?? 0;
  let left = width - first;
  const widths = columns.map(({ from }, index) => {
    const own = wanted[index] ?? 0;
    if (index === 0 || from > width || left < own + GAP) return null;
    left -= own + GAP;
    return own;
  });
  widths[0] = Math.min(Math.max(wanted[0] ?? 0, first), first + Math.max(0, left));
  return widths;
}
