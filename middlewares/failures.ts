import type { Context, Middleware, Service } from "moleculer";
import pg from "pg";
import { Unavailable } from "../lib/errors.ts";
import { sqlState } from "../lib/stores/database.ts";

/** Errors that mean "the store is away", not "the request is wrong" or "we have a bug". */
const CONNECTION_ERRORS = new Set([
  "SequelizeConnectionError",
  "SequelizeConnectionRefusedError",
  "SequelizeConnectionAcquireTimeoutError",
  "SequelizeConnectionTimedOutError",
  "SequelizeHostNotFoundError",
  "SequelizeHostNotReachableError",
  "MongoNetworkError",
  "MongoNetworkTimeoutError",
  "MongoPoolClearedError",
  "MongoNotConnectedError",
  "MongoServerClosedError",
  "MongoServerSelectionError",
  "MongooseServerSelectionError",
  "MaxRetriesPerRequestError",
]);
const CONNECTION_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "53300", // too_many_connections
  // Not away, but as good as: somebody who died or froze holds what this needs, or it is swamped.
  "55P03", // lock_not_available
  "57014", // query_canceled, by the time limit of a statement
  "25P03", // idle_in_transaction_session_timeout
  "40P01", // deadlock_detected, and again when it was tried again
  "40001", // serialization_failure, the same
]);
const CONNECTION_MESSAGES = [
  /Connection terminated/,
  /timeout exceeded when trying to connect/,
  /Query read timeout/,
  // Redis, by ioredis
  /Connection is closed/,
  /Command timed out/,
  /Stream isn't writeable/,
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN) /,
];

/** Sequelize's, of a connection that there never was. */
const NOT_CONNECTED = /^Sequelize(Connection|Host)/;

/** True if a store could not be reached, went away under the statement, or could not do it in time. */
export function isStoreAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (CONNECTION_ERRORS.has(error.name) || CONNECTION_CODES.has(sqlState(error) ?? "")) return true;
  return CONNECTION_MESSAGES.some((message) => message.test(error.message));
}

/**
 * True if Postgres went away under a statement, so that nobody knows whether it took effect. One that it refused, or that
 * never got a connection, did nothing.
 */
export function isUnanswered(error: unknown): boolean {
  if (!(error instanceof Error) || !isStoreAway(error) || NOT_CONNECTED.test(error.name)) return false;
  const cause = "parent" in error ? error.parent : error;
  return !(cause instanceof pg.DatabaseError);
}

/** Turns a store's connection failure into one stable, retryable error that tells nothing of the inside. */
export function failuresMiddleware(): Middleware {
  return {
    name: "Failures",
    localAction(next, action) {
      return async function (this: Service, ctx: Context) {
        try {
          return await next.call(this, ctx);
        } catch (error) {
          if (!isStoreAway(error)) throw error;
          ctx.broker.logger.warn("A store is away", {
            action: action.name,
            error: String(error),
          });
          throw new Unavailable({ retry_after: 2 });
        }
      };
    },
  };
}
