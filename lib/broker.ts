import { type BrokerOptions, ServiceBroker } from "moleculer";
import type { DestinationStream } from "pino";
import { callFiguresMiddleware } from "../middlewares/call-figures.ts";
import { contractMiddleware } from "../middlewares/contract.ts";
import { drainMiddleware } from "../middlewares/drain.ts";
import { failuresMiddleware } from "../middlewares/failures.ts";
import { permissionsMiddleware } from "../middlewares/permissions.ts";
import { installTracedEvents, tracingMiddleware } from "../middlewares/tracing.ts";
import { announce } from "./announce.ts";
import { installCalls } from "./calling.ts";
import type { Config } from "./config.ts";
import { addCheck } from "./health.ts";
import { installLifecycle } from "./lifecycle.ts";
import { loggerOf } from "./logger.ts";
import { isScraped, Metrics, provideMetrics } from "./metrics.ts";
import { collectNodeFigures, type NodeCounts } from "./node-figures.ts";
import { beginFigures, endFigures, nodeService } from "./node-status.ts";
import { probesOf } from "./probes.ts";
import { collectProcessFigures } from "./process-figures.ts";
import { resilienceOptions } from "./resilience.ts";
import { provideConfig } from "./runtime.ts";
import { Seal } from "./seal.ts";
import { MemoryCacher } from "./stores/memory-cacher.ts";
import { RedisCacher } from "./stores/redis-cacher.ts";
import { closeShared } from "./stores/shared.ts";
import { stopTracing, tracingOf } from "./tracing/tracing.ts";
import { NatsTransporter, natsOptions } from "./transporter.ts";

/** How many answers one node keeps in memory: bounded, or a stranger's searches would grow it without end. */
const CACHE_ENTRIES = 5_000;

/** Of Moleculer's middlewares: nobody asks for a fallback, and calls are counted by ours. Each would cost at every call. */
const LEFT_OUT = new Set(["Fallback", "Metrics"]);

interface NodeOptions {
  /** Runs after the last service and store have stopped. */
  afterStop?: () => Promise<void>;
  /** Takes the log as JSON lines, beside what goes to stdout. */
  logFile?: DestinationStream | undefined;
}

/** Moleculer's options for one node, all from the configuration. The tests and moleculer.config.ts both use it. */
export function brokerOptions(config: Config, { afterStop, logFile }: NodeOptions = {}): BrokerOptions {
  const transporter =
    config.NATS_URL.length > 0
      ? new NatsTransporter(natsOptions(config), new Seal(config.CLUSTER_SECRET))
      : null;
  const cacher =
    config.REDIS_URL === "" ? new MemoryCacher(CACHE_ENTRIES) : new RedisCacher(config.REDIS_URL);
  const probes = probesOf(config);
  return {
    namespace: config.NAMESPACE,
    ...(config.NODE_ID === "" ? {} : { nodeID: config.NODE_ID }),
    logger: loggerOf(config, logFile),
    logLevel: config.LOG_LEVEL,
    transporter,
    internalServices: nodeService(),
    cacher,
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
    internalMiddlewares: false,
    middlewares: [
      contractMiddleware({ checkResults: config.NODE_ENV === "test" }),
      permissionsMiddleware(),
      failuresMiddleware(),
      tracingMiddleware(),
      drainMiddleware(config.SHUTDOWN_TIMEOUT),
      probes.middleware,
      ...ServiceBroker.INTERNAL_MIDDLEWARES.filter((name) => !LEFT_OUT.has(name)),
      callFiguresMiddleware(),
    ],
    created(broker) {
      provideConfig(broker, config);
      installMetrics(broker, config, { packets: transporter?.packets, lookUps: cacher.lookUps });
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

function installMetrics(broker: ServiceBroker, config: Config, counts: NodeCounts): void {
  const { SERVICES } = config;
  const metrics = new Metrics(broker, (service) => SERVICES.length === 0 || SERVICES.includes(service));
  provideMetrics(broker, metrics);
  if (!isScraped(config)) return;
  collectNodeFigures(broker, metrics, counts);
  collectProcessFigures(metrics);
}
