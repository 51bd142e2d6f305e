import type { BrokerOptions } from "moleculer";
import { brokerOptions } from "./lib/broker.ts";
import { ConfigError, checkConfig, isEmbedded, loadConfig } from "./lib/config.ts";
import { keptSecrets } from "./lib/embedded.ts";
import { openLogFile } from "./lib/log-file.ts";
import { startEmbeddedPostgres } from "./lib/stores/embedded-postgres.ts";
import { findPrograms } from "./lib/stores/embedded-postgres-programs.ts";
import { startTracing } from "./lib/tracing/tracing.ts";

/** The part of moleculer-runner that this file sets: which service files it loads. */
interface Runner {
  servicePaths: string[];
}

/**
 * What `moleculer-runner` starts a node with. Everything comes from the environment, read in lib/config.ts; the
 * embedded shop's own Postgres and secrets are brought up here, before the first service.
 */
export default async function config(this: Runner): Promise<BrokerOptions> {
  try {
    return await nodeOptions(this);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(2);
  }
}

async function nodeOptions(runner: Runner): Promise<BrokerOptions> {
  const env = { ...process.env };
  const { DATA_DIR, SERVICES } = checkConfig(env);
  if (SERVICES.length > 0) {
    // The runner would take SERVICES for file names.
    delete process.env.SERVICES;
    runner.servicePaths = SERVICES.map((name) => `services/${name}/${name}.service.ts`);
  }
  if (!isEmbedded(env)) {
    const config = loadConfig(env);
    await startTracing(config);
    return brokerOptions(config, { logFile: openLogFile(config) });
  }

  const { postgres, secrets, isNew } = await ownStores(DATA_DIR).catch(sayAndExit);
  if (isNew && !env.ADMIN_PASSWORD) {
    console.error(
      `This shop's admin: ${secrets.ADMIN_EMAIL}, password ${secrets.ADMIN_PASSWORD} (kept in ${DATA_DIR})`,
    );
  }
  const config = loadConfig(env, { databaseUrl: postgres.url, secrets });
  await startTracing(config);
  return brokerOptions(config, { afterStop: () => postgres.stop(), logFile: openLogFile(config) });
}

async function ownStores(dataDir: string) {
  // Where there is no Postgres to bring up, as in the image, that is to be said, and not that DATA_DIR can't be made.
  await findPrograms();
  const postgres = await startEmbeddedPostgres({
    dataDir,
    onEnd: () => console.error("The shop's Postgres has ended: stop the shop, and start it again."),
  });
  // Only now is DATA_DIR this shop's alone: of two that start at once, the other's secrets must not take their place.
  try {
    return { postgres, ...(await keptSecrets(dataDir)) };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** What fails there says in a sentence what to do: the runner would say it twice, with a stack. */
function sayAndExit(error: Error): never {
  console.error(error.message);
  process.exit(1);
}
