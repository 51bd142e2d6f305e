import type { Principal } from "../services/auth/auth.contract.ts";
import { Unauthenticated } from "./errors.ts";

/** What travels beside the params of a call. Meta merges back from callee to caller: read it before any sub-call. */
export interface Meta {
  /** Who the request is from; null or absent for a guest. Set by the gateway, and for a guest node's request by its `accessToken`. */
  user?: Principal | null;
  /** Says whose a guest node's request is; it ends where the request is taken. */
  accessToken?: string;
  /** The guest's cart, from `X-Cart-Token`. */
  cartToken?: string;
  /** From `Idempotency-Key`. */
  idempotencyKey?: string;
  clientIp?: string;
  $statusCode?: number;
  $responseHeaders?: Record<string, string>;
}

const ACCESS_TOKEN = /^[A-Za-z0-9._~+/=-]{1,4096}$/;
export const CART_TOKEN = /^[A-Za-z0-9_-]{16,100}$/;
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** What a person may say beside the params of a call: never who they are, nor that a service calls. */
export function personMeta(given: unknown): Pick<Meta, "accessToken" | "cartToken" | "idempotencyKey"> {
  const { accessToken, cartToken, idempotencyKey }: Record<string, unknown> = { ...Object(given) };
  return {
    ...(typeof accessToken === "string" && ACCESS_TOKEN.test(accessToken) ? { accessToken } : {}),
    ...(typeof cartToken === "string" && CART_TOKEN.test(cartToken) ? { cartToken } : {}),
    ...(typeof idempotencyKey === "string" && IDEMPOTENCY_KEY.test(idempotencyKey) ? { idempotencyKey } : {}),
  };
}

/** Who the request is from. Before any sub-call. @throws Unauthenticated for a guest */
export function principalOf(meta: Meta): Principal {
  if (!meta.user) throw new Unauthenticated({});
  return meta.user;
}
