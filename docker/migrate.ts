import { setTimeout as delay } from "node:timers/promises";
import { ConnectionError } from "sequelize";
import { ConfigError, databaseConfig } from "../lib/config.ts";
import { SQL_SERVICES, type SqlService } from "../lib/service-names.ts";
import { sequelizeOf } from "../lib/stores/connect.ts";
import { Database } from "../lib/stores/database.ts";
import { isCurrent, migrate } from "../lib/stores/migrate.ts";
import { migrations } from "../services/migrations.ts";

/**
 * Brings the schemas of all services up to date, or of those named as arguments, and ends: the job before an upgrade,
 * where nodes run with MIGRATE=off. With `--wait` it changes nothing and ends when that has been done.
 */

/** ms between two looks. */
const PAUSE = 1000;

type Work = (db: Database, service: SqlService) => Promise<boolean>;

const apply: Work = async (db, service) => {
  const applied = await migrate(db, service, migrations[service], {
    waits: (name) => console.log(`${service}: a table is busy, ${name} waits`),
  });
  console.log(`${service}: ${applied.length > 0 ? `applied ${applied.join(", ")}` : "up to date"}`);
  return true;
};

const look: Work = (db, service) => isCurrent(db, service, migrations[service]);

/** Does the work, as soon as the database lets us in. @throws what a migration throws */
async function untilDone(service: SqlService, work: Work): Promise<void> {
  const config = databaseConfig(process.env);
  const sequelize = sequelizeOf(config.databaseUrl(service), { ...config, DATABASE_TIMEOUT: 0 });
  const db = new Database(sequelize);
  let told = "";
  for (;;) {
    let state = "waiting for its migrations";
    try {
      if (await work(db, service)) break;
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      state = String(error);
    }
    if (state !== told) console.log(`${service}: ${state}`);
    told = state;
    await delay(PAUSE);
  }
  await sequelize.close();
}

const args = process.argv.slice(2);
const named = SQL_SERVICES.filter((service) => args.includes(service));
const work = args.includes("--wait") ? look : apply;

// As process 1 Node would ignore the signal.
process.once("SIGTERM", () => process.exit(143));
try {
  for (const service of named.length > 0 ? named : SQL_SERVICES) await untilDone(service, work);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
