import type { Credentials } from "../lib/session.ts";
import type { FaultKind } from "./plan.ts";

/** A shop that may be broken. Whatever is done to it is done to processes that are known to be its own. */
export interface ChaosTarget {
  readonly mode: "cluster" | "embedded";
  /** What it is, for people: `a cluster of 8 nodes, started for this run`. */
  readonly title: string;
  /** Whether it was started for this run, and is ended and forgotten with it. */
  readonly isOurs: boolean;
  readonly nodes: readonly string[];
  /** The servers that may be cut. */
  readonly servers: readonly FaultKind[];
  /** Where its gateways listen. */
  readonly urls: readonly string[];
  /** Its admin's. */
  readonly admin: Credentials;
  /** Kills with -9: nodes or servers, all at once. */
  kill(names: readonly string[]): Promise<void>;
  /** Asks nodes to stop, as a deployment does, and waits until they have. */
  terminate(names: readonly string[]): Promise<void>;
  /** @returns what wakes it again */
  freeze(name: string): Promise<() => Promise<void>>;
  /** Starts again what was killed or stopped, and doesn't wait until it is ready. */
  revive(): Promise<void>;
  /** What isn't ready now; empty when all is. */
  failing(): Promise<string[]>;
  /** Ends what was started for this run; leaves anything else running whole. */
  close(): Promise<void>;
}
