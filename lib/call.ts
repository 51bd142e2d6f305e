import type { Context, ServiceBroker } from "moleculer";
import type { Actions } from "../services/contracts.ts";
import type { ParamsOf, ResultOf } from "./contract.ts";
import type { Meta } from "./meta.ts";

export interface CallOptions {
  /** ms to wait for the answer; default: the contract's, else `REQUEST_TIMEOUT`. */
  timeout?: number;
  meta?: Partial<Meta>;
}

/** A job or a start-up task has no request to descend from: it calls in its service's own name. */
export interface Origin {
  broker: ServiceBroker;
  /** The calling service's name. */
  name: string;
}

/** What a call may descend from: a request's context, or a service acting by itself. */
export type Caller = Pick<Context<unknown, Meta>, "call"> | Origin;

/**
 * Calls an action of any service by its contract: name, params and result are checked by the compiler. The only way
 * services call each other; raw `ctx.call` would take any name and any params.
 *
 * @throws the callee's {@link ShopError}; `RequestTimeoutError` or another non-4xx error when the outcome is unknown
 */
export function call<N extends keyof Actions>(
  caller: Caller,
  name: N,
  params: ParamsOf<Actions[N]>,
  options: CallOptions = {},
): Promise<ResultOf<Actions[N]>> {
  if ("call" in caller) {
    return caller.call<ResultOf<Actions[N]>, ParamsOf<Actions[N]>>(name, params, options);
  }
  const own = { ...options, caller: caller.name };
  return caller.broker.call<ResultOf<Actions[N]>, ParamsOf<Actions[N]>>(name, params, own);
}
