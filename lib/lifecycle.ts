import type { ServiceBroker } from "moleculer";
import { atMost } from "./waiting.ts";

/** ms that a stop waits for a start under way: the first one of all, with its migrations and its demo data, takes less. */
const START_PATIENCE = 10_000;

/**
 * How a node goes down. Moleculer stops all services at once; what lets requests in must have closed its door, and the
 * requests inside must have ended, before the first database pool closes. One that is still starting comes to its end
 * first: a service whose database is closed in the middle of a migration would fail, and say so at length.
 */
interface Lifecycle {
  stopping: boolean;
  /** Resolves when there is no start that could come to an end. */
  started: Promise<unknown>;
  /** Ends the wait for a start that can't. */
  giveUp: () => void;
  before: (() => Promise<void>)[];
}

const nodes = new WeakMap<ServiceBroker, Lifecycle>();

/** Makes the broker's `stop` wait for its start, and run what {@link beforeStop} was given. Once, where the broker is made. */
export function installLifecycle(broker: ServiceBroker): void {
  const { promise: given, resolve: giveUp } = Promise.withResolvers<void>();
  const lifecycle: Lifecycle = { stopping: false, started: Promise.resolve(), giveUp, before: [] };
  nodes.set(broker, lifecycle);
  const { start, stop } = broker;
  broker.start = () => {
    const started = start.call(broker);
    lifecycle.started = started.catch(() => undefined);
    return started;
  };
  const stopInOrder = async () => {
    lifecycle.stopping = true;
    await atMost(START_PATIENCE, Promise.race([lifecycle.started, given]));
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

/** For what a starting node waits for, once it was asked to stop: the start stays where it is, and the stop goes on. */
export function neverStarted(broker: ServiceBroker): Promise<never> {
  nodes.get(broker)?.giveUp();
  return new Promise(() => undefined);
}

/** True from the moment the node was asked to stop: readiness fails first. */
export function isStopping(broker: ServiceBroker): boolean {
  return nodes.get(broker)?.stopping ?? broker.stopping;
}
