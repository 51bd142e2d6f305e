import type { BrokerOptions, ServiceBroker } from "moleculer";
import { callFiguresMiddleware } from "../middlewares/call-figures.ts";
import { contractMiddleware } from "../middlewares/contract.ts";
import { drainMiddleware } from "../middlewares/drain.ts";
import { failuresMiddleware } from "../middlewares/failures.ts";
import { permissionsMiddleware } from "../middlewares/permissions.ts";
import { installTracedEvents, tracingMiddleware } from "../middlewares/tracing.ts";
import { announce, logLevels } from "./announce.ts";
import { installCalls } from "./calling.ts";
import type { Config } from "./config.ts";
import { addCheck } from "./health.ts";
import { installLifecycle } from "./lifecycle.ts";
import { isScraped, Metrics, provideMetrics } from "./metrics.ts";
import { collectNodeFigures } from "./node-figures.ts";
import { beginFigures, endFigures, nodeService } from "./node-status.ts";
import { probesOf } from "./probes.ts";
import { collectProcessFigures } from "./process-figures.ts";
import { resilienceOptions } from "./resilience.ts";
import { provideConfig } from "./runtime.ts";
import { Seal } from "./seal.ts";
import { RedisCacher } from "./stores/redis-cacher.ts";
import { closeShared } from "./stores/shared.ts";
import { logFields } from "./tracing/scope.ts";
import { stopTracing, tracingOf } from "./tracing/tracing.ts";
import { NatsTransporter, natsOptions } from "./transporter.ts";

/** How many answers one node keeps in memory: bounded, or a stranger's searches would grow it without end. */
const CACHE_ENTRIES = 5_000;

/** A line each: when, how grave, which part, what, and the data. */
const PRETTY = {
  colorize: process.stdout.isTTY === true && process.stdout.hasColors(),
  ignore: "pid,hostname,nodeID,ns,mod,svc,ver,trace_id,span_id",
  messageFormat: "{mod}: {msg}",
  singleLine: true,
  translateTime: "HH:MM:ss.l",
};

interface NodeOptions {
  /** Runs after the last service and store have stopped. */
  afterStop?: () => Promise<void>;
}

/** Moleculer's options for one node, all from the configuration. The tests and moleculer.config.ts both use it. */
export function brokerOptions(config: Config, { afterStop }: NodeOptions = {}): BrokerOptions {
  const transporter =
    config.NATS_URL.length > 0
      ? new NatsTransporter(natsOptions(config), new Seal(config.CLUSTER_SECRET))
      : null;
  const probes = probesOf(config);
  return {
    namespace: config.NAMESPACE,
    ...(config.NODE_ID === "" ? {} : { nodeID: config.NODE_ID }),
    logger: loggerOf(config),
    logLevel: config.LOG_LEVEL,
    transporter,
    internalServices: nodeService(),
    cacher:
      config.REDIS_URL === ""
        ? { type: "MemoryLRU", options: { max: CACHE_ENTRIES } }
        : new RedisCacher(config.REDIS_URL),
    // Contracts are checked by their own middleware.
    validator: false,
    ...resilienceOptions(config),
    metrics: {
      enabled: isScraped(config),
      // Told by lib/metrics.ts; Moleculer's own reporter would open a port on every interface.
      reporter: [],
      collectProcessMetrics: config.NODE_ENV !== "test",
    },
    // The first is the innermost: a refused call costs no check of params, a bug in a check no store error.
    middlewares: [
      contractMiddleware({ checkResults: config.NODE_ENV === "test" }),
      permissionsMiddleware(),
      failuresMiddleware(),
      tracingMiddleware(),
      drainMiddleware(config.SHUTDOWN_TIMEOUT),
      probes.middleware,
      callFiguresMiddleware(),
    ],
    created(broker) {
      provideConfig(broker, config);
      installMetrics(broker, config);
      installLifecycle(broker);
      installCalls(broker, config.REQUEST_TIMEOUT);
      beginFigures(broker);
      installTracedEvents(broker);
      tracingOf()?.tell((message, data) => broker.logger.warn(message, data));
      if (transporter) addCheck(broker, "node", "nats", "nats", () => transporter.ping());
      if (transporter && config.CLUSTER_SECRET.length === 0)
        broker.logger.warn(
          "CLUSTER_SECRET is not set: whoever reaches NATS can act as a node, and as any user",
        );
    },
    async started(broker) {
      // Who sees this node ready may rely on the others' knowing it; Moleculer alone takes a second to tell them.
      await broker.registry.discoverer.sendLocalNodeInfo();
      announce(broker);
    },
    async stopped(broker) {
      endFigures(broker);
      await closeShared(broker);
      await stopTracing();
      probes.close();
      await afterStop?.();
    },
  };
}

function installMetrics(broker: ServiceBroker, config: Config): void {
  const { SERVICES } = config;
  const metrics = new Metrics(broker, (service) => SERVICES.length === 0 || SERVICES.includes(service));
  provideMetrics(broker, metrics);
  if (!isScraped(config)) return;
  collectNodeFigures(broker, metrics);
  collectProcessFigures(metrics);
}

function loggerOf(config: Config): NonNullable<BrokerOptions["logger"]> {
  if (config.NODE_ENV === "test" && config.LOG_LEVEL === "fatal") return false;
  const pretty = config.LOG_FORMAT ? config.LOG_FORMAT === "pretty" : process.stdout.isTTY === true;
  return {
    type: "Pino",
    options: {
      level: logLevels(config.LOG_LEVEL),
      pino: {
        options: {
          hooks: { logMethod },
          mixin: logFields,
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
                  options: PRETTY,
                },
              }
            : {}),
        },
      },
    },
  };
}

/** We log as Moleculer does, (message, data); pino wants them the other way round and would drop the data. */
function logMethod(this: unknown, args: unknown[], method: (...args: unknown[]) => void): void {
  const [message, data] = args;
  const isSwapped = typeof message === "string" && typeof data === "object" && data !== null;
  method.apply(this, isSwapped ? [data, message] : args);
}
