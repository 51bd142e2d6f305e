import type { ServiceBroker } from "moleculer";
import { Forbidden } from "../../lib/errors.ts";
import type { Meta } from "../../lib/meta.ts";
import type { Principal } from "../../services/auth/auth.contract.ts";

/** What a person may add to a call: never who they are, nor that a service calls. */
const META: readonly (keyof Meta)[] = ["cartToken", "idempotencyKey"];
/** It tells a node's whole configuration, passwords of its servers included. */
const SECRET = "$node.options";

interface CallOptions {
  nodeID?: string;
  timeout?: number;
  meta?: Record<string, unknown>;
}

export interface Guard {
  /** The broker as a person may use it. */
  broker: ServiceBroker;
  /** How many calls have failed. */
  failures: () => number;
}

/**
 * A broker whose calls are a person's, made by no service: who they are comes from `principal` and from nowhere else, so
 * that the permissions of each action hold for them as they do over REST.
 */
export function guardBroker(broker: ServiceBroker, principal: () => Promise<Principal | null>): Guard {
  let failures = 0;
  const call = async (name: string, params?: unknown, options: CallOptions = {}): Promise<unknown> => {
    try {
      if (name === SECRET) throw new Forbidden({});
      const user = await principal();
      const given = Object.entries(options.meta ?? {}).filter(([key]) => META.some((one) => one === key));
      return await broker.call<unknown, unknown>(name, params, {
        ...(options.nodeID === undefined ? {} : { nodeID: String(options.nodeID) }),
        ...(options.timeout === undefined ? {} : { timeout: Number(options.timeout) }),
        meta: { ...Object.fromEntries(given), ...(user ? { user } : {}) },
      });
    } catch (error) {
      failures++;
      throw error;
    }
  };
  const guarded = new Proxy(broker, {
    get(target, key) {
      if (key === "call") return call;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { broker: guarded, failures: () => failures };
}
