import type { Principal } from "../services/auth/auth.contract.ts";
import { Unauthenticated } from "./errors.ts";

/** What travels beside the params of a call. Meta merges back from callee to caller: read it before any sub-call. */
export interface Meta {
  /** Who the request is from; null or absent for a guest. Set by the gateway alone. */
  user?: Principal | null;
  /** The guest's cart, from `X-Cart-Token`. */
  cartToken?: string;
  /** From `Idempotency-Key`. */
  idempotencyKey?: string;
  clientIp?: string;
  $statusCode?: number;
  $responseHeaders?: Record<string, string>;
}

/** Who the request is from. Before any sub-call. @throws Unauthenticated for a guest */
export function principalOf(meta: Meta): Principal {
  if (!meta.user) throw new Unauthenticated({});
  return meta.user;
}
