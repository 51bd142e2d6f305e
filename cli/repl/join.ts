import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { userInfo } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { ServiceBroker } from "moleculer";
import { installCalls } from "../../lib/calling.ts";
import { ConfigError, guestConfig, type NatsConfig } from "../../lib/config.ts";
import { HEARTBEAT } from "../../lib/resilience.ts";
import { GUEST_PREFIX, Seal } from "../../lib/seal.ts";
import { NatsTransporter, natsOptions } from "../../lib/transporter.ts";
import { CliError, Misuse } from "../lib/errors.ts";

/** ms until NATS has answered, and nodes were heard of. */
const JOIN = 2_000;
/** ms between two looks for them. */
const LOOK = 50;
/** ms that a node which couldn't join is given to leave. */
const LEAVE = 300;

/**
 * Joins a cluster as a guest node: one that knows the others and may call their actions, with a person's permissions,
 * and that offers nothing (lib/seal.ts).
 * @param servers as in NATS_URL
 * @throws CliError within 3 s if there is no cluster, Misuse for a bad address
 */
export async function joinCluster(servers: string, env: NodeJS.ProcessEnv): Promise<ServiceBroker> {
  const config = configOf({ ...env, NATS_URL: servers, NODE_ID: "" });
  const options = natsOptions(config);
  const natsUser = subjectPart(options.user);
  const transporter = new NatsTransporter(
    { ...options, ...(natsUser ? { inboxPrefix: `_INBOX.${natsUser}` } : {}), waitOnFirstConnect: false },
    new Seal([]),
  );
  const broker = new ServiceBroker({
    namespace: config.NAMESPACE,
    nodeID: nodeIdOf(natsUser),
    transporter,
    logger: false,
    validator: false,
    skipProcessEventRegistration: true,
    transit: { disableReconnect: true },
    requestTimeout: config.REQUEST_TIMEOUT,
    ...HEARTBEAT,
    created: (made) => installCalls(made, config.REQUEST_TIMEOUT),
  });
  const given = AbortSignal.timeout(JOIN);
  const refused = Promise.withResolvers<never>();
  broker.localBus.once("$transporter.error", () => refused.reject(new Error("refused")));
  try {
    await Promise.race([broker.start().then(() => heardOf(broker, given)), refused.promise, over(given)]);
    return broker;
  } catch {
    await Promise.race([broker.stop(), delay(LEAVE)]).catch(() => undefined);
    const where = config.NATS_URL.map((url) => url.replace(/\/\/.*@/, "//")).join(",");
    throw new CliError(`No shop answers over NATS at ${where} (namespace ${config.NAMESPACE}).`, {
      next: "Look at NATS_URL, its credentials and NAMESPACE, and whether the cluster runs.",
    });
  }
}

/** How many nodes there are beside this one. */
export function othersOf(broker: ServiceBroker): number {
  return broker.registry.getNodeList({ onlyAvailable: true, withServices: true }).length - 1;
}

async function heardOf(broker: ServiceBroker, signal: AbortSignal): Promise<void> {
  while (othersOf(broker) === 0) await delay(LOOK, undefined, { signal });
}

/** Whether or not NATS ever answers. */
async function over(signal: AbortSignal): Promise<never> {
  await once(signal, "abort");
  throw new Error("timeout");
}

/** A NATS user whose name can be a part of subjects: by it NATS keeps what one operator is answered from the others. */
function subjectPart(user: string | undefined): string | undefined {
  return user && /^[\w-]{1,64}$/.test(user) ? user : undefined;
}

/** Two REPLs of one person are two nodes. */
function nodeIdOf(natsUser: string | undefined): string {
  const name = userInfo()
    .username.replace(/[^\w-]/g, "")
    .slice(0, 32);
  return `${GUEST_PREFIX}${natsUser ? `${natsUser}.` : ""}${name}-${randomBytes(3).toString("hex")}`;
}

function configOf(env: NodeJS.ProcessEnv): ReturnType<typeof guestConfig> & NatsConfig {
  try {
    return guestConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) throw new Misuse(error.message);
    throw error;
  }
}
