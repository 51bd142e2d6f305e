import type { ServiceBroker } from "moleculer";
import { addCheck } from "../lib/health.ts";
import { repeat } from "../lib/repeat.ts";
import { configOf } from "../lib/runtime.ts";
import type { Mixin } from "../lib/service.ts";
import { poolOf } from "../lib/stores/connect.ts";
import type { KeyValueStore } from "../lib/stores/key-value.ts";
import { PostgresKeyValue } from "../lib/stores/postgres-key-value.ts";
import { untilReachable } from "../lib/stores/reachable.ts";
import { redisOf } from "../lib/stores/redis.ts";
import { RedisKeyValue } from "../lib/stores/redis-key-value.ts";
import { shared } from "../lib/stores/shared.ts";

const SWEEP_EVERY = 60_000;
/** ms that Redis may take for an answer: below the second that readiness waits. */
const REDIS_TIMEOUT = 800;

export interface KeyValueThis {
  readonly kv: KeyValueStore;
}

/** Gives a service the node's key-value store: Redis where `REDIS_URL` is set, else a table in Postgres. */
export function keyValue(): Mixin<KeyValueThis> {
  return {
    build(broker) {
      return {
        created() {
          const kv = shared(broker, "key-value", () => storeOf(broker));
          Object.assign(this, { kv });
          const server = configOf(broker).REDIS_URL === "" ? "postgres" : "redis";
          addCheck(broker, this.name, "key-value", server, () => kv.ping());
        },
        async started() {
          const kv: KeyValueStore = this.kv;
          await untilReachable(broker, "key-value", () => kv.ping());
        },
      };
    },
  };
}

/** Where carts and sessions are: the one place that chooses. */
function storeOf(broker: ServiceBroker): { store: KeyValueStore; close: () => Promise<void> } {
  const config = configOf(broker);
  if (config.REDIS_URL !== "") {
    const store = new RedisKeyValue(redisOf(config.REDIS_URL, REDIS_TIMEOUT), config.NAMESPACE);
    return { store, close: () => store.close() };
  }
  const store = new PostgresKeyValue(poolOf(config.DATABASE_URL, config));
  const stopSweep = repeat({
    work: () => store.sweep(),
    every: SWEEP_EVERY,
    after: SWEEP_EVERY,
    failed: (error) => broker.logger.warn("Could not sweep expired keys", { error: String(error) }),
  });
  return {
    store,
    close: async () => {
      await stopSweep();
      await store.close();
    },
  };
}
