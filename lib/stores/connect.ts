import { Socket } from "node:net";
import pg from "pg";
import { Sequelize } from "sequelize";
import type { Config } from "../config.ts";

/** ms that Postgres may need beyond a statement's time to say that it has ended it. */
const GRACE = 5_000;
/** ms that a statement waits for a lock, and that a transaction may rest: a process that froze within one holds its rows. */
const LOCK_TIMEOUT = 10_000;

interface Limits {
  /** Connections at most. */
  DATABASE_POOL: number;
  /** ms that a statement may take; 0: any time, for migrations. */
  DATABASE_TIMEOUT: number;
}

/** Statements and locks are bounded in the server too: a client that is gone must not hold a row for ever. */
function session(timeout: number): string {
  const waiting = timeout === 0 ? LOCK_TIMEOUT : Math.min(LOCK_TIMEOUT, timeout);
  const resting = timeout === 0 ? 0 : waiting;
  return [
    `-c statement_timeout=${timeout}`,
    `-c lock_timeout=${waiting}`,
    `-c idle_in_transaction_session_timeout=${resting}`,
  ].join(" ");
}

/**
 * ms after which a connection that says nothing is given up: by then a living Postgres has ended the statement. One that
 * vanished without closing its sockets would hold the connection until TCP gives up, a quarter of an hour later.
 */
export const silenceAfter = ({ DATABASE_TIMEOUT: timeout }: Pick<Limits, "DATABASE_TIMEOUT">): number =>
  timeout === 0 ? 0 : timeout + GRACE;

/** Begins the name of every connection of a shop: who restores looks for them. */
export const APPLICATION = "molecart";

/** A Sequelize on `url`; connects when first used. */
export function sequelizeOf(
  url: string,
  limits: Pick<Config, keyof Limits>,
  application_name = APPLICATION,
): Sequelize {
  const sequelize = new Sequelize(url, {
    dialect: "postgres",
    dialectModule: pg,
    logging: false,
    pool: { max: limits.DATABASE_POOL, min: 0, idle: 30_000, acquire: 5_000 },
    dialectOptions: {
      options: session(limits.DATABASE_TIMEOUT),
      application_name,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
    },
    define: { underscored: true, freezeTableName: true },
  });
  const silence = silenceAfter(limits);
  // Not pg's `query_timeout`: it leaves the connection open, and the ROLLBACK after it would wait as long again.
  sequelize.addHook("afterConnect", (connection: unknown) => {
    const stream = connection instanceof pg.Client ? connection.connection.stream : undefined;
    if (silence === 0 || !(stream instanceof Socket)) return;
    stream.setTimeout(silence, () => stream.destroy(new Silent()));
  });
  return sequelize;
}

/** A plain pool, for stores that need no models and look everything up by its key: one plan serves all values. */
export function poolOf(url: string, limits: Pick<Config, keyof Limits>): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: limits.DATABASE_POOL,
    options: `${session(limits.DATABASE_TIMEOUT)} -c plan_cache_mode=force_generic_plan`,
    application_name: APPLICATION,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 5_000,
    query_timeout: silenceAfter(limits),
    keepAlive: true,
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on("error", () => undefined);
  return pool;
}

/** Nothing came from Postgres for longer than any statement may take. */
class Silent extends Error {
  readonly code = "ETIMEDOUT";
  constructor() {
    super("Postgres fell silent");
    this.name = "Silent";
  }
}
