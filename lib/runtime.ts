import type { ServiceBroker } from "moleculer";
import type { Config } from "./config.ts";

/**
 * What a node's services share: its configuration. Kept beside the broker and not in `broker.metadata`, because
 * metadata is sent to every other node and this holds secrets.
 */
const configs = new WeakMap<ServiceBroker, Config>();

export function provideConfig(broker: ServiceBroker, config: Config): void {
  configs.set(broker, config);
}

export function configOf(broker: ServiceBroker): Config {
  const config = configs.get(broker);
  if (!config) throw new Error("This broker was not made by brokerOptions(): it has no configuration.");
  return config;
}
