import type { BrokerOptions } from "moleculer";
import type { Config } from "./config.ts";
import { failureCode } from "./errors.ts";

/** What says that a node doesn't answer. A refusal, and an outage behind the node, is an answer. */
const SILENCE = new Set(["REQUEST_TIMEOUT", "REQUEST_REJECTED"]);

/** A node that falls silent is left alone, and tried with one call every few seconds. */
export const CIRCUIT_BREAKER = {
  enabled: true,
  threshold: 0.5,
  minRequestCount: 20,
  /** s */
  windowTime: 10,
  /** ms */
  halfOpenTime: 3_000,
  check: (error: unknown) => SILENCE.has(failureCode(error) ?? ""),
};

/** s. A node that is frozen or cut off is noticed by these; one that was killed, by NATS (lib/transporter.ts). */
export const HEARTBEAT = { heartbeatInterval: 2, heartbeatTimeout: 6 };

/** Calls that may wait for their turn at an action with a bulkhead: more are refused at once. */
const MAX_QUEUE = 2_000;

/** How a node bounds what others may ask of it, and how long it waits for them. docs/resilience.md explains the figures. */
export function resilienceOptions(config: Config): Partial<BrokerOptions> {
  return {
    requestTimeout: config.REQUEST_TIMEOUT,
    ...HEARTBEAT,
    circuitBreaker: CIRCUIT_BREAKER,
    // For the actions whose contract says `bulkhead`. Twice the pool keeps its connections busy and its queue short.
    bulkhead: { enabled: false, concurrency: 2 * config.DATABASE_POOL, maxQueueSize: MAX_QUEUE },
    // lib/calling.ts knows which calls may be repeated.
    retryPolicy: { enabled: false },
    // A chunk of a stream is spelled out as JSON, at most 4 bytes for one, and NATS takes a megabyte.
    transit: { maxChunkSize: 128 * 1024 },
  };
}
