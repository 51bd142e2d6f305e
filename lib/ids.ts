import { v5, v7 } from "uuid";

/** The namespace of our names: another one would give everything that has a name another id. */
const NAMED = "0197b0c4-6f0e-7cc1-9d5e-3c1b8d0f7a52";

/** A UUIDv7: unique without asking anyone, and sorted by the time it was made. */
export function newId(): string {
  return v7();
}

/** The id of what has a name that never changes: a UUIDv5, the same whenever it is asked for. */
export function idOf(name: string): string {
  return v5(name, NAMED);
}

/** The smallest id of {@link newId} that can have been made at a moment. @param at ms since 1970 */
export function idFrom(at: number): string {
  const hex = Math.min(Math.max(at, 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** When an id of {@link newId} was made, in ms since 1970: its first 48 bits. */
export function madeAt(id: string): number {
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}
