import { v7 } from "uuid";

/** A UUIDv7: unique without asking anyone, and sorted by the time it was made. */
export function newId(): string {
  return v7();
}
