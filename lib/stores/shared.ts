import type { ServiceBroker } from "moleculer";

/**
 * Stores that several services of one node use together (the key-value pool, a pg-boss for each database): made at
 * the first ask, closed after the last service has stopped.
 */
interface Shared {
  made: Map<string, unknown>;
  closers: (() => Promise<void>)[];
}

const nodes = new WeakMap<ServiceBroker, Shared>();

/** The node's one `key`, made by `make` at the first ask. */
export function shared<T>(
  broker: ServiceBroker,
  key: symbol | string,
  make: () => { store: T; close: () => Promise<void> },
): T {
  const node = nodes.get(broker) ?? { made: new Map<string, unknown>(), closers: [] };
  nodes.set(broker, node);
  const name = key.toString();
  if (!node.made.has(name)) {
    const { store, close } = make();
    node.made.set(name, store);
    node.closers.push(close);
  }
  return node.made.get(name) as T;
}

/** Closes what {@link shared} made, last made first, also where one of them fails. For the broker's `stopped` hook. */
export async function closeShared(broker: ServiceBroker): Promise<void> {
  const node = nodes.get(broker);
  if (!node) return;
  nodes.delete(broker);
  for (const close of node.closers.reverse()) {
    await close().catch((error: unknown) => {
      broker.logger.warn("Could not close a store", { error: String(error) });
    });
  }
}
