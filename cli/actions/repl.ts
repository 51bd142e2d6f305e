import { ServiceBroker } from "moleculer";
import { brokerOptions } from "../../lib/broker.ts";
import { ConfigError, loadConfig } from "../../lib/config.ts";
import { createClient } from "../lib/client.ts";
import { CliError, Misuse, NotLoggedIn } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { findCredentials, findShop, openSession, type ShopOptions } from "../lib/session.ts";
import { GUEST, type Identity, logInByBroker } from "../repl/identity.ts";
import { runRepl } from "../repl/repl.ts";
import { restBroker } from "../repl/rest-broker.ts";

export interface ReplOptions extends ShopOptions {
  /** Its servers, or true for NATS_URL. */
  nats?: string | boolean;
  guest?: boolean;
  input?: boolean;
}

/** ms until the nodes of a cluster have been heard of. */
const DISCOVERY = 5_000;

/** Opens a REPL on a shop: as a node of its cluster, or over its REST API. @returns the exit code */
export async function repl(options: ReplOptions, io: Io): Promise<number> {
  return options.nats === undefined || options.nats === false
    ? await overRest(options, io)
    : await asNode(options, options.nats, io);
}

async function overRest(options: ReplOptions, io: Io): Promise<number> {
  const { url } = await findShop(options, io.env);
  const session = options.guest ? undefined : await openSession(options, io);
  const client = session?.client ?? createClient(url, { signal: io.signal });
  await client.reach();
  const broker = restBroker(client);
  await broker.start();
  // Who calls is in the client's token: the gateway sees to it.
  const identity: Identity = { ...GUEST, says: session ? session.email : GUEST.says };
  try {
    io.say(
      `Calls go over REST to ${url}, as ${identity.says}. help lists what there is; --nats joins a cluster as a node.`,
    );
    const env = ownEnv(url, options, io);
    return await runRepl({ broker, identity, isNode: false, env }, io);
  } finally {
    await broker.stop();
    await session?.close();
  }
}

async function asNode(options: ReplOptions, nats: string | true, io: Io): Promise<number> {
  const { url } = await findShop(options, io.env);
  const broker = await joinCluster(nats, io);
  let identity = GUEST;
  try {
    identity = options.guest ? GUEST : await logIn(broker, url, options, io);
    const others = broker.registry.getNodeList({ onlyAvailable: true }).length - 1;
    io.say(
      `Joined ${others === 1 ? "1 node" : `${others} nodes`} as ${broker.nodeID}; calls are made as ${identity.says}. help lists what there is.`,
    );
    return await runRepl({ broker, identity, isNode: true, env: ownEnv(url, options, io) }, io);
  } finally {
    await identity.close();
    await broker.stop();
  }
}

async function joinCluster(nats: string | true, io: Io): Promise<ServiceBroker> {
  const servers = nats === true ? io.env.NATS_URL : nats;
  if (!servers) {
    throw new Misuse(
      "--nats needs to know where.",
      "Say it, as in --nats nats://127.0.0.1:4222, or set NATS_URL.",
    );
  }
  const nothing = { JWT_SECRET: "-", SANDBOX_WEBHOOK_SECRET: "-", ADMIN_EMAIL: "-", ADMIN_PASSWORD: "-" };
  const env = {
    ...io.env,
    ...{ NATS_URL: servers, NODE_ID: `repl-${process.pid}`, SERVICES: "", DATABASE_URL: "", REDIS_URL: "" },
    ...{ MONGO_URL: "", HEALTH_PORT: "", METRICS_PORT: "", LOG_LEVEL: "fatal" },
  };
  let broker: ServiceBroker;
  try {
    broker = new ServiceBroker({
      ...brokerOptions(loadConfig(env, { databaseUrl: "", secrets: nothing })),
      logger: false,
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new Misuse(error.message);
    throw error;
  }
  const started = broker
    .start()
    .then(async () => await broker.waitForServices(["auth", "gateway"], DISCOVERY, 50));
  try {
    await Promise.race([started, limit(DISCOVERY * 2)]);
    return broker;
  } catch {
    await Promise.race([broker.stop(), limit(1_000)]).catch(() => undefined);
    throw new CliError(`No shop answers over NATS at ${servers} (namespace ${broker.namespace}).`, {
      next: "Look at NATS_URL, its credentials and NAMESPACE, and whether the cluster runs.",
    });
  }
}

async function limit(ms: number): Promise<never> {
  return await new Promise((_, reject) => {
    setTimeout(() => reject(new Error("timeout")), ms).unref();
  });
}

async function logIn(broker: ServiceBroker, url: string, options: ReplOptions, io: Io): Promise<Identity> {
  if (options.profile) {
    throw new Misuse(
      "A profile is a login at a gateway, and --nats goes past it.",
      "Set ADMIN_EMAIL and ADMIN_PASSWORD, or come as a guest with --guest.",
    );
  }
  const credentials = await findCredentials(io.env, url).catch((error: unknown) => {
    if (!(error instanceof NotLoggedIn)) throw error;
    throw new NotLoggedIn(
      error.message,
      "Set ADMIN_EMAIL and ADMIN_PASSWORD, or come as a guest with --guest.",
    );
  });
  return await logInByBroker(broker, credentials);
}

/** What molecart's own commands run with: the same shop, and the same login or none. */
export function ownEnv(url: string, options: ReplOptions, io: Pick<Io, "env">): NodeJS.ProcessEnv {
  const { ADMIN_EMAIL, ADMIN_PASSWORD, MOLECART_PROFILE, ...rest } = io.env;
  if (options.guest) {
    return { ...rest, MOLECART_URL: url, DATA_DIR: "/nonexistent", XDG_CONFIG_HOME: "/nonexistent" };
  }
  const profile = options.profile || MOLECART_PROFILE;
  return {
    ...rest,
    ...(ADMIN_EMAIL === undefined ? {} : { ADMIN_EMAIL }),
    ...(ADMIN_PASSWORD === undefined ? {} : { ADMIN_PASSWORD }),
    ...(profile ? { MOLECART_PROFILE: profile } : { MOLECART_URL: url }),
  };
}
