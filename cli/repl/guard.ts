import type { Readable } from "node:stream";
import type { ServiceBroker } from "moleculer";
import { Forbidden } from "../../lib/errors.ts";
import { type Meta, personMeta } from "../../lib/meta.ts";
import { CliError, codeOf } from "../lib/errors.ts";

/** It tells a node's whole configuration, passwords of its servers included. */
const SECRET = "$node.options";

interface CallOptions {
  nodeID?: string;
  timeout?: number;
  stream?: Readable;
  meta?: Record<string, unknown>;
}

export interface Guard {
  /** The broker as a person may use it. */
  broker: ServiceBroker;
  /** How many calls have failed. */
  failures: () => number;
}

/**
 * A broker whose calls are a person's, made by no service: who they are comes from `identify` and from nothing that is
 * typed, so that the permissions of each action hold for them as they do over REST.
 * @param identify what says it to the shop, asked for each call
 */
export function guardBroker(
  broker: ServiceBroker,
  identify: () => Promise<Pick<Meta, "user" | "accessToken">>,
): Guard {
  let failures = 0;
  const call = async (name: string, params?: unknown, options: CallOptions = {}): Promise<unknown> => {
    const { nodeID, timeout, stream, meta } = options;
    try {
      if (name === SECRET) throw new Forbidden({});
      const said = saidIn(meta);
      return await broker.call<unknown, unknown>(name, params, {
        ...(nodeID === undefined ? {} : { nodeID: String(nodeID) }),
        ...(timeout === undefined ? {} : { timeout: Number(timeout) }),
        ...(stream === undefined ? {} : { stream }),
        meta: { ...said, ...(await identify()) },
      });
    } catch (error) {
      failures++;
      throw brief(error);
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

/** @throws CliError for what can't be said in meta: better than to seem to take it */
function saidIn(meta: Record<string, unknown> = {}): Pick<Meta, "cartToken" | "idempotencyKey"> {
  const { accessToken: _, ...said } = personMeta(meta);
  // moleculer-repl adds a mark of its own.
  const ignored = Object.keys(meta).filter((key) => key !== "$repl" && !(key in said));
  if (ignored.length === 0) return said;
  throw new CliError(
    `meta can't say ${ignored.join(", ")}: who calls is the login's to say. It takes cartToken and idempotencyKey.`,
  );
}

/** moleculer-repl prints the stack and no message: where a refusal came from is of no interest to who is refused. */
function brief(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = codeOf(error);
  if (error instanceof CliError) error.stack = error.message;
  else if (typeof code === "number" && code < 500)
    error.stack = `${error.message} (${code} ${"type" in error ? error.type : error.name})`;
  return error;
}
