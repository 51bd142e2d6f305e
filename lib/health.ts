import type { ServiceBroker } from "moleculer";
import { isStopping } from "./lifecycle.ts";
import { atMost } from "./waiting.ts";

/** Cheap questions to the stores of this node's services: may they be used right now? */

const TIMEOUT = 1000;
/** ms an answer is good for: probes of any number cost the stores one question a second. */
const FRESH = 1000;

/** ms that a live screen waits for an answer: after that, the last one stands. */
const PATIENCE = 300;

/** What stands behind a store. */
export const SERVERS = ["nats", "postgres", "redis", "mongodb", "files"] as const;
export type Server = (typeof SERVERS)[number];

/** What a node may need: as health, metrics and alerts name it. */
export const STORES = ["database", "jobs", "key-value", "documents", "nats"] as const;
export type Store = (typeof STORES)[number];

interface Check {
  service: string;
  store: Store;
  server: Server;
  ask: () => Promise<unknown>;
  /** The last answer. */
  known?: StoreCheck;
}

/** What came of a question to a store. */
export interface StoreCheck extends Omit<Check, "ask" | "known"> {
  ok: boolean;
  /** ms until it answered, or was given up. */
  ms: number;
}

interface Node {
  checks: Check[];
  /** ms an answer is good for. */
  fresh: number;
  last?: { at: number; asked: Promise<StoreCheck[]> };
}

/** A store that did not answer, and the service that needs it. */
export interface FailingCheck {
  service: string;
  store: Store;
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
 * @param server what the store is kept by
 * @param ask rejects, or takes longer than a second, if the store can't be used
 */
export function addCheck(
  broker: ServiceBroker,
  service: string,
  store: Store,
  server: Server,
  ask: () => Promise<unknown>,
): void {
  nodeOf(broker).checks.push({ service, store, server, ask });
}

/** Asks every store of this node, at most once a second. @returns those that did not answer */
export async function failingChecks(broker: ServiceBroker): Promise<FailingCheck[]> {
  const node = nodes.get(broker);
  const checks = node ? await ask(node) : [];
  return checks.filter(({ ok }) => !ok).map(({ service, store }) => ({ service, store }));
}

/** Each store that this node's services need, by name, and whether it answers to all of them. */
export async function storesUp(broker: ServiceBroker): Promise<Map<Store, boolean>> {
  const failing = new Set((await failingChecks(broker)).map(({ store }) => store));
  return new Map((nodes.get(broker)?.checks ?? []).map(({ store }) => [store, !failing.has(store)]));
}

/** What every store answered, for who can't wait: after a moment, what the stores answered the last time. */
export async function recentChecks(broker: ServiceBroker): Promise<StoreCheck[]> {
  const node = nodes.get(broker);
  if (!node) return [];
  const answers = await atMost(PATIENCE, ask(node));
  return answers ?? node.checks.map((check) => check.known ?? outcome(check, false, PATIENCE));
}

function ask(node: Node): Promise<StoreCheck[]> {
  const now = performance.now();
  if (!node.last || now - node.last.at >= node.fresh) {
    node.last = { at: now, asked: Promise.all(node.checks.map(askOne)) };
  }
  return node.last.asked;
}

async function askOne(check: Check): Promise<StoreCheck> {
  const started = performance.now();
  const ok = await answers(check.ask);
  check.known = outcome(check, ok, performance.now() - started);
  return check.known;
}

function outcome({ service, store, server }: Check, ok: boolean, ms: number): StoreCheck {
  return { service, store, server, ok, ms: Math.round(ms * 100) / 100 };
}

async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    return (
      (await atMost(
        TIMEOUT,
        ask().then(() => true),
      )) ?? false
    );
  } catch {
    return false;
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
