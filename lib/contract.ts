import type { Static, TObject, TSchema } from "typebox";
import type { EventName } from "./events.ts";

/**
 * Who may call an action:
 * - `public`  anyone
 * - `user`    a logged-in user; the action itself shows only what is theirs
 * - `admin`   an admin
 * - `service` other services of the cluster, never a person (not the gateway, not the REPL)
 */
export type Permission = "public" | "user" | "admin" | "service";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
/** `GET /products/:id`, below `/api` unless it starts with `//` (`GET //health`). */
export type Route = `${Method} /${string}`;

/** How often one client may call: see middlewares of the gateway. */
export type RateClass = "read" | "write" | "auth" | "checkout" | "none";

export interface ActionSpec<P extends TObject = TObject, R extends TSchema = TSchema> {
  /** One line, for OpenAPI and the REPL. */
  summary: string;
  /** The REST routes that lead here; none: the action is for services only. */
  rest?: readonly Route[];
  permissions: readonly Permission[];
  params: P;
  result: R;
  /** HTTP status of success; default 200. */
  status?: number;
  /** Running it twice has the effect of running it once, so the caller may retry after a timeout. Reads always are. */
  idempotent?: boolean;
  /** Takes an `Idempotency-Key` header: the first answer is kept and given again. */
  idempotencyKey?: boolean;
  /** ms a caller waits for the answer; default `REQUEST_TIMEOUT`. */
  timeout?: number;
  rateClass?: RateClass;
  /** Only a few of these run at once on a node, the others wait: for what would otherwise take all of a database's connections. */
  bulkhead?: boolean;
  /** Codes of the failures a client should expect beside the general ones (see errors.ts), for OpenAPI. */
  errors?: readonly { readonly code: string; readonly status: number }[];
  /** The body is a stream of one of these media types, and reaches the action as `ctx.stream`. */
  stream?: readonly string[];
  /** The action gets the body as text in `raw_body` and the request's headers in `headers` (signed webhooks). */
  rawBody?: boolean;
  /** Moleculer's cacher: the params that make the key, and its life in seconds. */
  cache?: { keys: string[]; ttl: number };
}

export type ActionSpecs = Record<string, ActionSpec>;

/** Which of its actions a service wants called for a durable event. */
export type Subscriptions = { readonly [E in EventName]?: string };

export interface Contract<N extends string = string, A extends ActionSpecs = ActionSpecs> {
  readonly name: N;
  readonly actions: A;
  readonly subscribes: Subscriptions;
}

/** Declares one action. It exists so that TypeScript infers the literal types of `params` and `result`. */
export function action<P extends TObject, R extends TSchema>(spec: ActionSpec<P, R>): ActionSpec<P, R> {
  return spec;
}

/**
 * Declares what a service offers, once: from it come the types of {@link call}, the runtime check of the contract
 * middleware, the gateway's routes and the OpenAPI document.
 */
export function contract<const N extends string, A extends ActionSpecs>(
  name: N,
  actions: A,
  subscribes: { readonly [E in EventName]?: keyof A & string } = {},
): Contract<N, A> {
  for (const [key, spec] of Object.entries(actions)) {
    // The cacher answers before permissions are looked at.
    if (spec.cache && !spec.permissions.includes("public"))
      throw new Error(`${name}.${key}: only public actions may be cached`);
  }
  return { name, actions, subscribes };
}

export type ParamsOf<S> = S extends ActionSpec<infer P, TSchema> ? Static<P> : never;
export type ResultOf<S> = S extends ActionSpec<TObject, infer R> ? Static<R> : never;

/** `{ reserve: spec }` of `inventory` → `{ "inventory.reserve": spec }` */
export type Flatten<C> =
  C extends Contract<infer N, infer A> ? { [K in keyof A & string as `${N}.${K}`]: A[K] } : never;
