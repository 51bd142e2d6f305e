import type { ServiceBroker } from "moleculer";

/**
 * How a node goes down. Moleculer stops all services at once; what lets requests in must have closed its door, and the
 * requests inside must have ended, before the first database pool closes.
 */
interface Lifecycle {
  stopping: boolean;
  before: (() => Promise<void>)[];
}

const nodes = new WeakMap<ServiceBroker, Lifecycle>();

/** Makes the broker's `stop` run what {@link beforeStop} was given. Once, where the broker is made. */
export function installLifecycle(broker: ServiceBroker): void {
  const lifecycle: Lifecycle = { stopping: false, before: [] };
  nodes.set(broker, lifecycle);
  const stop = broker.stop;
  const stopInOrder = async () => {
    lifecycle.stopping = true;
    for (const ended of await Promise.allSettled(lifecycle.before.map((work) => work())))
      if (ended.status === "rejected")
        broker.logger.warn("Could not stop in order", { error: String(ended.reason) });
    await stop.call(broker);
  };
  let stopped: Promise<void> | undefined;
  // Moleculer calls it at every signal and when the process exits: a second one must not overtake the first.
  broker.stop = () => {
    stopped ??= stopInOrder();
    return stopped;
  };
}

/** Has `work` run to its end when the node is asked to stop, while every service still answers. */
export function beforeStop(broker: ServiceBroker, work: () => Promise<void>): void {
  nodes.get(broker)?.before.push(work);
}

/** True from the moment the node was asked to stop: readiness fails first. */
export function isStopping(broker: ServiceBroker): boolean {
  return nodes.get(broker)?.stopping ?? broker.stopping;
}
