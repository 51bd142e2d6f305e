import type { ServiceBroker } from "moleculer";
import { isStopping } from "./lifecycle.ts";

/** Cheap questions to the stores of this node's services: may they be used right now? */

const TIMEOUT = 1000;
/** ms an answer is good for: probes of any number cost the stores one question a second. */
const FRESH = 1000;

interface Check {
  service: string;
  store: string;
  ask: () => Promise<unknown>;
}

interface Node {
  checks: Check[];
  /** ms an answer is good for. */
  fresh: number;
  last?: { at: number; failing: Promise<FailingCheck[]> };
}

/** A store that did not answer, and the service that needs it. */
export interface FailingCheck {
  service: string;
  store: string;
}

const nodes = new WeakMap<ServiceBroker, Node>();

function nodeOf(broker: ServiceBroker): Node {
  const node = nodes.get(broker) ?? { checks: [], fresh: FRESH };
  nodes.set(broker, node);
  return node;
}

/** Has this node's stores asked anew after `ms`, where a test can't wait for a second. */
export function keepHealthFor(broker: ServiceBroker, ms: number): void {
  nodeOf(broker).fresh = ms;
}

/**
 * Adds a question to a store of one of this node's services; for mixins, at `created`.
 * @param ask rejects, or takes longer than a second, if the store can't be used
 */
export function addCheck(
  broker: ServiceBroker,
  service: string,
  store: string,
  ask: () => Promise<unknown>,
): void {
  nodeOf(broker).checks.push({ service, store, ask });
}

/** Asks every store of this node, at most once a second. @returns those that did not answer */
export function failingChecks(broker: ServiceBroker): Promise<FailingCheck[]> {
  const node = nodes.get(broker);
  if (!node) return Promise.resolve([]);
  if (!node.last || Date.now() - node.last.at >= node.fresh) {
    node.last = { at: Date.now(), failing: askAll(node.checks) };
  }
  return node.last.failing;
}

/** Each store that this node's services need, by name, and whether it answers to all of them. */
export async function storesUp(broker: ServiceBroker): Promise<Map<string, boolean>> {
  const failing = new Set((await failingChecks(broker)).map(({ store }) => store));
  return new Map((nodes.get(broker)?.checks ?? []).map(({ store }) => [store, !failing.has(store)]));
}

async function askAll(checks: readonly Check[]): Promise<FailingCheck[]> {
  const failing = await Promise.all(
    checks.map(async ({ service, store, ask }) => ((await answers(ask)) ? [] : [{ service, store }])),
  );
  return failing.flat();
}

async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, TIMEOUT, false);
  try {
    return await Promise.race([ask().then(() => true), late]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Whether this node may be given requests: its services have started, their stores answer, and it is not on its way out.
 * @returns what stands against it; empty when it is ready
 */
export async function notReady(broker: ServiceBroker): Promise<string[]> {
  if (isStopping(broker)) return ["stopping"];
  if (!broker.started) return ["starting"];
  return (await failingChecks(broker)).map(({ service, store }) => `${service}: ${store}`);
}
