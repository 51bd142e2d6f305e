import type { ServiceBroker } from "moleculer";
import Type from "typebox";
import { IntId, Obj } from "../../lib/schema.ts";

/** The plain event that tells every node what to forget: these products, or everything. */
export const PRODUCTS_CHANGED = "products.changed";
export const ProductsChanged = Obj({ ids: Type.Optional(Type.Array(IntId())) });

/** Above this many, forgetting everything is cheaper. */
const MANY = 200;

/**
 * What Moleculer's cacher keeps of `products.get`, `products.list` and `products.categories`, and how it forgets.
 *
 * A read that is under way while its answer is being forgotten would put the old answer back for its time to live.
 * Such a read notices, and has its own answer forgotten as soon as it was stored. An event may be lost between nodes:
 * then the old answer lives as long as the contract's `ttl`.
 */
export class CatalogueCache {
  readonly #broker: ServiceBroker;
  #forgotten = 0;

  constructor(broker: ServiceBroker) {
    this.#broker = broker;
  }

  /** Runs the read behind the cache key `key`. */
  async read<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#forgotten;
    const answer = await work();
    if (this.#forgotten !== before) {
      // The cacher stores the answer right after this; what is set immediate runs after that.
      setImmediate(() => void this.#clean([key]));
    }
    return answer;
  }

  /** Forgets on this node, then has all others forget. Never fails: the change itself is committed. */
  async changed(ids?: readonly number[]): Promise<void> {
    await this.forget(ids);
    try {
      await this.#broker.broadcast(PRODUCTS_CHANGED, ids && ids.length <= MANY ? { ids } : {});
    } catch (error) {
      this.#broker.logger.warn("Could not tell other nodes of changed products", { error: String(error) });
    }
  }

  /** Forgets on this node. */
  async forget(ids?: readonly number[]): Promise<void> {
    this.#forgotten++;
    if (!ids || ids.length > MANY) await this.#clean(["products.**"]);
    else await this.#clean([...ids.map((id) => `products.get:${id}`), "products.list:**"]);
  }

  async #clean(keys: string[]): Promise<void> {
    const { cacher } = this.#broker;
    if (!cacher) return;
    try {
      const patterns = keys.filter((key) => key.includes("*"));
      const names = keys.filter((key) => !key.includes("*"));
      if (names.length > 0) await cacher.del(names);
      if (patterns.length > 0) await cacher.clean(patterns);
    } catch (error) {
      this.#broker.logger.warn("Could not clean the cache", { error: String(error) });
    }
  }
}
