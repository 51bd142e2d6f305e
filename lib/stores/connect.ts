import pg from "pg";
import { Sequelize } from "sequelize";
import type { Config } from "../config.ts";

/** Statements and locks are bounded in the server too: a client that is gone must not hold a row for ever. */
const SESSION =
  "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000";

/** Begins the name of every connection of a shop: who restores looks for them. */
export const APPLICATION = "molecart";

/** A Sequelize on `url`; connects when first used. */
export function sequelizeOf(
  url: string,
  config: Pick<Config, "DATABASE_POOL">,
  application_name = APPLICATION,
): Sequelize {
  return new Sequelize(url, {
    dialect: "postgres",
    dialectModule: pg,
    logging: false,
    pool: { max: config.DATABASE_POOL, min: 0, idle: 30_000, acquire: 5_000 },
    dialectOptions: {
      options: SESSION,
      application_name,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
    },
    define: { underscored: true, freezeTableName: true },
  });
}

/** A plain pool, for stores that need no models. */
export function poolOf(url: string, max: number): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    options: SESSION,
    application_name: APPLICATION,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on("error", () => undefined);
  return pool;
}
