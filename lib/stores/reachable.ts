import { setTimeout as delay } from "node:timers/promises";
import type { ServiceBroker } from "moleculer";
import { isStopping, neverStarted } from "../lifecycle.ts";

const PAUSE = 250;
/** ms between two lines of the log about the same store. */
const REPEAT = 10_000;

/**
 * Waits at a node's start until a store answers: nodes and stores may be started in any order. Until then the node is
 * alive and not ready. In one that is asked to stop meanwhile it never ends.
 */
export async function untilReachable(
  broker: ServiceBroker,
  store: string,
  ping: () => Promise<void>,
): Promise<void> {
  let told = -REPEAT;
  while (!isStopping(broker)) {
    try {
      await ping();
      return;
    } catch (error) {
      if (performance.now() - told >= REPEAT) {
        told = performance.now();
        broker.logger.warn("Waiting for a store", { store, error: String(error) });
      }
      await delay(PAUSE);
    }
  }
  await neverStarted(broker);
}
