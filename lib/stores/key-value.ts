import { Unavailable } from "../errors.ts";

/** A stored value and the version that a compare-and-set needs. */
export interface Versioned<T> {
  value: T;
  version: number;
}

/**
 * Where carts and sessions live: small JSON values that expire. A Postgres table when embedded, Redis when
 * `REDIS_URL` is set; both behave alike.
 */
export interface KeyValueStore {
  get<T extends object>(key: string): Promise<Versioned<T> | null>;
  /**
   * Writes `value` if the key still has `expected` (null: if it is absent or expired).
   * @param ttl seconds until it expires
   * @returns false, and writes nothing, if somebody was faster
   */
  compareAndSet<T extends object>(
    key: string,
    expected: number | null,
    value: T,
    ttl: number,
  ): Promise<boolean>;
  /** Deletes the key, or only that version of it. @returns whether it was deleted */
  delete(key: string, expected?: number): Promise<boolean>;
  /** Throws if the store can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

const ATTEMPTS = 50;

/**
 * Reads, changes and writes a value, again until nobody came between: concurrent updates are never lost.
 * @param change gets the current value or null; returns the next, or null to delete. May run several times.
 * @returns what is stored now
 * @throws Unavailable if other nodes were faster 50 times
 */
export function update<T extends object>(
  store: KeyValueStore,
  key: string,
  ttl: number,
  change: (current: T | null) => T | null | Promise<T | null>,
): Promise<T | null> {
  return inTurn(store, key, async () => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const current = await store.get<T>(key);
      const next = await change(current?.value ?? null);
      if (next === null) {
        if (current === null || (await store.delete(key, current.version))) return null;
      } else if (await store.compareAndSet(key, current?.version ?? null, next, ttl)) {
        return next;
      }
    }
    throw new Unavailable({ retry_after: 1 });
  });
}

/** The last update of each key that this node has under way, settled whatever came of it. */
const turns = new WeakMap<KeyValueStore, Map<string, Promise<void>>>();

/** Lets the updates of a key wait for each other on one node: racing, n of them would need n² tries, and some none left. */
async function inTurn<T>(store: KeyValueStore, key: string, work: () => Promise<T>): Promise<T> {
  const last = turns.get(store) ?? new Map<string, Promise<void>>();
  turns.set(store, last);
  const mine = (last.get(key) ?? Promise.resolve()).then(work);
  const settled = mine.then(
    () => undefined,
    () => undefined,
  );
  last.set(key, settled);
  try {
    return await mine;
  } finally {
    if (last.get(key) === settled) last.delete(key);
  }
}
