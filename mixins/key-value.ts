import { addCheck } from "../lib/health.ts";
import { configOf } from "../lib/runtime.ts";
import type { Mixin } from "../lib/service.ts";
import { poolOf } from "../lib/stores/connect.ts";
import type { KeyValueStore } from "../lib/stores/key-value.ts";
import { PostgresKeyValue } from "../lib/stores/postgres-key-value.ts";
import { shared } from "../lib/stores/shared.ts";

const SWEEP_EVERY = 60_000;

export interface KeyValueThis {
  readonly kv: KeyValueStore;
}

/** Gives a service the node's key-value store. */
export function keyValue(): Mixin<KeyValueThis> {
  return {
    build(broker) {
      return {
        created() {
          const kv = shared(broker, "key-value", () => {
            const store = new PostgresKeyValue(poolOf(configOf(broker).DATABASE_URL, 4));
            const sweeper = setInterval(() => {
              store
                .sweep()
                .catch((error: unknown) =>
                  broker.logger.warn("Could not sweep expired keys", { error: String(error) }),
                );
            }, SWEEP_EVERY);
            sweeper.unref();
            return {
              store,
              close: async () => {
                clearInterval(sweeper);
                await store.close();
              },
            };
          });
          Object.assign(this, { kv });
          addCheck(broker, this.name, "key-value", () => kv.ping());
        },
        async started() {
          await this.kv.ping();
        },
      };
    },
  };
}
