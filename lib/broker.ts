import type { BrokerOptions } from "moleculer";
import { contractMiddleware } from "../middlewares/contract.ts";
import { failuresMiddleware } from "../middlewares/failures.ts";
import { permissionsMiddleware } from "../middlewares/permissions.ts";
import type { Config } from "./config.ts";
import { installLifecycle } from "./lifecycle.ts";
import { provideConfig } from "./runtime.ts";
import { closeShared } from "./stores/shared.ts";

interface NodeOptions {
  /** Runs after the last service and store have stopped. */
  afterStop?: () => Promise<void>;
}

/** Moleculer's options for one node, all from the configuration. The tests and moleculer.config.ts both use it. */
export function brokerOptions(config: Config, { afterStop }: NodeOptions = {}): BrokerOptions {
  return {
    namespace: config.NAMESPACE,
    ...(config.NODE_ID === "" ? {} : { nodeID: config.NODE_ID }),
    logger: loggerOf(config),
    logLevel: config.LOG_LEVEL,
    transporter: null,
    cacher: "Memory",
    // Contracts are checked by their own middleware.
    validator: false,
    requestTimeout: config.REQUEST_TIMEOUT,
    heartbeatInterval: 2,
    heartbeatTimeout: 6,
    tracking: { enabled: true, shutdownTimeout: config.SHUTDOWN_TIMEOUT },
    metrics: {
      enabled: true,
      // Read by the gateway and lib/metrics.ts; Moleculer's own reporter would open a port on every interface.
      reporter: [],
      collectProcessMetrics: config.NODE_ENV !== "test",
      // Moleculer keeps each sample this long for quantiles that nobody reads: as briefly as it goes.
      defaultMaxAgeSeconds: 2,
      defaultAgeBuckets: 2,
    },
    // The first is the innermost: a refused call costs no check of params, a bug in a check no store error.
    middlewares: [
      contractMiddleware({ checkResults: config.NODE_ENV === "test" }),
      permissionsMiddleware(),
      failuresMiddleware(),
    ],
    created(broker) {
      provideConfig(broker, config);
      installLifecycle(broker);
    },
    async stopped(broker) {
      await closeShared(broker);
      await afterStop?.();
    },
  };
}

function loggerOf(config: Config): NonNullable<BrokerOptions["logger"]> {
  if (config.NODE_ENV === "test" && config.LOG_LEVEL === "fatal") return false;
  const pretty = config.LOG_FORMAT ? config.LOG_FORMAT === "pretty" : process.stdout.isTTY === true;
  return {
    type: "Pino",
    options: {
      level: config.LOG_LEVEL,
      pino: {
        options: {
          // Whatever a careless log call hands over, these never come out.
          redact: {
            paths: [
              "password",
              "*.password",
              "token",
              "*.token",
              "authorization",
              "*.authorization",
              "refresh_token",
              "*.refresh_token",
            ],
            censor: "[redacted]",
          },
          ...(pretty
            ? {
                transport: {
                  target: "pino-pretty",
                  options: { colorize: true, ignore: "pid,hostname,nodeID,ns", translateTime: "HH:MM:ss.l" },
                },
              }
            : {}),
        },
      },
    },
  };
}
