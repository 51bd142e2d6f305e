import type { Context, Logger, ServiceBroker, ServiceSchema } from "moleculer";
import type { ActionSpecs, Contract, ParamsOf, ResultOf } from "./contract.ts";
import type { Meta } from "./meta.ts";

/** A request to an action: `ctx.params` are of the contract's type. */
export type Ctx<P = unknown> = Context<P & object, Meta>;

/**
 * A part that several services are made of. `T` is what it adds to `this`; the phantom `adds` carries it to
 * {@link defineService}, which gives every handler a typed `this` without a cast.
 */
export interface Mixin<T extends object> {
  /** Its Moleculer schema, made anew for each broker from that broker's configuration. */
  readonly build: (broker: ServiceBroker) => Partial<ServiceSchema>;
  readonly adds?: T;
}

/** What a `*.service.ts` exports: Moleculer calls it with the broker that loads it. */
export type ServiceFactory = (broker: ServiceBroker) => ServiceSchema;

type Intersection<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void ? I : never;
type AddsOf<M extends readonly Mixin<object>[]> = Intersection<M[number] extends Mixin<infer T> ? T : never>;

/** What every service has. (Moleculer's own `Service` type takes any property name, and so would hide a typo.) */
export interface ServiceBase {
  readonly name: string;
  readonly broker: ServiceBroker;
  readonly logger: Logger;
}

export type Handlers<A extends ActionSpecs> = {
  [K in keyof A]: (ctx: Ctx<ParamsOf<A[K]>>) => Promise<ResultOf<A[K]>>;
};

interface Definition<
  A extends ActionSpecs,
  M extends readonly Mixin<object>[],
  X extends object,
  V extends object,
> {
  mixins?: M;
  /** Every action of the contract, and no other. */
  actions: Handlers<A> & ThisType<ServiceBase & AddsOf<M> & X & V>;
  /** Plain Moleculer events: for what may be lost (cache cleaning, live screens). */
  events?: Record<string, (this: ServiceBase & AddsOf<M> & X & V, ctx: Ctx) => void | Promise<void>>;
  methods?: X & ThisType<ServiceBase & AddsOf<M> & X & V>;
  /** What `created` puts on `this`, typed; evaluated for each instance. */
  state?: (this: ServiceBase & AddsOf<M> & X) => V;
  started?: (this: ServiceBase & AddsOf<M> & X & V) => Promise<void> | void;
  stopped?: (this: ServiceBase & AddsOf<M> & X & V) => Promise<void> | void;
}

/**
 * The cacher answers before params are checked, and looks at `keys` alone: what holds any other param is left to the
 * check, which refuses it whether or not the answer to the rest is kept.
 */
function cacheOf({ keys, ttl }: { keys: string[]; ttl: number }) {
  const known = new Set(keys);
  const [only] = keys;
  return {
    ttl,
    enabled({ params }: Context<object>) {
      for (const name in params) if (!known.has(name)) return false;
      return true;
    },
    /**
     * `products.get:7`, `products.list:limit=10,search="tea"`. Moleculer's own doesn't escape texts, so that two requests
     * could have the same one.
     */
    keygen({ name = "" }: { name?: string }, _options: unknown, ctx: Context<unknown, object>) {
      if (only === undefined) return name;
      const params: Record<string, unknown> = Object(ctx.params);
      if (keys.length === 1) return `${name}:${JSON.stringify(params[only])}`;
      let given = "";
      for (const key of keys) {
        const value = params[key];
        if (value !== undefined) given += `${given && ","}${key}=${JSON.stringify(value)}`;
      }
      return `${name}:${given}`;
    },
  };
}

/**
 * Makes a Moleculer service of a contract and its handlers: `defineService(contract)({ … })`. Whatever the contract
 * says (params, permissions, timeout, visibility, caching) is taken from it, so that it can't be said twice.
 *
 * It takes its arguments in two steps so that the contract's types are settled before the handlers are looked at.
 */
export function defineService<N extends string, A extends ActionSpecs>(contract: Contract<N, A>) {
  return <
    const M extends readonly Mixin<object>[] = [],
    X extends object = Record<never, never>,
    V extends object = Record<never, never>,
  >(
    definition: Definition<A, M, X, V>,
  ): ServiceFactory => {
    const actions: ServiceSchema["actions"] = {};
    for (const [name, spec] of Object.entries(contract.actions)) {
      const handler: unknown = Reflect.get(definition.actions, name);
      if (typeof handler !== "function")
        throw new Error(`${contract.name}.${name} is declared but not implemented`);
      actions[name] = {
        visibility: spec.rest ? "published" : "public",
        ...(spec.cache ? { cache: cacheOf(spec.cache) } : {}),
        ...(spec.timeout === undefined ? {} : { timeout: spec.timeout }),
        ...(spec.bulkhead ? { bulkhead: { enabled: true } } : {}),
        handler(ctx: Context) {
          return Reflect.apply(handler, this, [ctx]);
        },
      };
    }
    const { state, started, stopped } = definition;
    return (broker) => ({
      name: contract.name,
      mixins: (definition.mixins ?? []).map((mixin) => mixin.build(broker)),
      actions,
      events: definition.events ?? {},
      methods: { ...definition.methods },
      created() {
        if (state) Object.assign(this, Reflect.apply(state, this, []));
      },
      async started() {
        if (started) await Reflect.apply(started, this, []);
      },
      async stopped() {
        if (stopped) await Reflect.apply(stopped, this, []);
      },
    });
  };
}
