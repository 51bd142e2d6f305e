import { randomBytes } from "node:crypto";
import { Server } from "node:http";
import { ServiceBroker } from "moleculer";
import pg from "pg";
import { brokerOptions } from "../../lib/broker.ts";
import { call } from "../../lib/call.ts";
import { type Config, loadConfig } from "../../lib/config.ts";
import type { ServiceFactory } from "../../lib/service.ts";
import { startTracing } from "../../lib/tracing/tracing.ts";
import { gateway } from "../../services/gateway/gateway.service.ts";
import { TIMEOUTS } from "../../services/gateway/http-server.ts";
import { services } from "../../services/services.ts";
import { SECRETS, TEMPLATE_DATABASE, TEST_ENV } from "./env.ts";

export interface Shop {
  broker: ServiceBroker;
  config: Config;
  /** `http://127.0.0.1:<port>` */
  url: string;
  databaseUrl: string;
  /** Calls an action as another service would. */
  call: <N extends Parameters<typeof call>[1]>(
    name: N,
    params: Parameters<typeof call<N>>[2],
  ) => ReturnType<typeof call<N>>;
  stop: () => Promise<void>;
}

interface ShopOptions {
  env?: Record<string, string>;
  /** Replace services by name: a fake provider, a failing participant. */
  replace?: Partial<Record<string, ServiceFactory>>;
  /** An existing database, for a second node or a restart; default: a new one, made from the migrated template. */
  databaseUrl?: string;
}

/** A whole embedded shop in this process, on a database of its own and a free port. */
export async function startShop({ env = {}, replace = {}, databaseUrl }: ShopOptions = {}): Promise<Shop> {
  const url = databaseUrl ?? (await createDatabase());
  const config = loadConfig(
    { ...TEST_ENV, ...env },
    {
      databaseUrl: url,
      secrets: SECRETS,
    },
  );
  await startTracing(config);
  const broker = new ServiceBroker({
    ...brokerOptions(config),
    nodeID: `test-${randomBytes(4).toString("hex")}`,
  });
  // The tests' own connections stay open, and bring nothing more.
  const own: typeof replace = { gateway: gateway({ ...TIMEOUTS, farewell: 50 }), ...replace };
  for (const [name, service] of Object.entries(services))
    broker.createService((own[name] ?? service)(broker));
  await broker.start();
  const port = portOf(broker);
  return {
    broker,
    config,
    url: `http://127.0.0.1:${port}`,
    databaseUrl: url,
    call: (name, params) => call({ broker, name: "test" }, name, params),
    stop: () => broker.stop(),
  };
}

function portOf(broker: ServiceBroker): number {
  const service: object = broker.getLocalService("gateway");
  const address = "server" in service && service.server instanceof Server ? service.server.address() : null;
  if (typeof address !== "object" || address === null) throw new Error("The gateway does not listen.");
  return address.port;
}

/** A new database with every migration applied. @returns its URL */
export async function createDatabase(): Promise<string> {
  const server = new URL(process.env.TEST_DATABASE_URL ?? "");
  const name = `test_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client({ connectionString: server.href });
  await client.connect();
  try {
    // Two test files may copy the template at once: Postgres lets only one look at it.
    await client.query("SELECT pg_advisory_lock(1)");
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE_DATABASE} STRATEGY FILE_COPY`);
  } finally {
    await client.end();
  }
  server.pathname = `/${name}`;
  return server.href;
}
