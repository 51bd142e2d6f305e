import { v7 } from "uuid";

/** A UUIDv7: unique without asking anyone, and sorted by the time it was made. */
export function newId(): string {
  return v7();
}

/** When an id of {@link newId} was made, in ms since 1970: its first 48 bits. */
export function madeAt(id: string): number {
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}
