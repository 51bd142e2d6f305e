import pg from "pg";
import type { Sequelize, Transaction } from "sequelize";
import { connectionOf, isStalePlan, runStatement } from "./statements.ts";

/** SQLSTATEs after which a transaction that was rolled back may simply be run again. */
const RETRYABLE = new Set(["40001", "40P01"]);
const ATTEMPTS = 4;

/** A transaction that knows its Sequelize (it does at run time; its published type leaves that out). */
export interface Tx extends Transaction {
  readonly sequelize: Sequelize;
}

/**
 * A service's own database: Sequelize for models and the pool, plain SQL where a statement says it best (conditional
 * updates, locks, aggregates).
 */
export class Database {
  readonly sequelize: Sequelize;
  constructor(sequelize: Sequelize) {
    this.sequelize = sequelize;
  }

  /**
   * Runs one statement with `$1…` parameters and gives its rows, those of `RETURNING` too. Without `tx` it is a
   * transaction by itself, and run again as {@link transaction} is.
   */
  async rows<R extends object>(text: string, values: readonly unknown[] = [], tx?: Tx): Promise<R[]> {
    if (tx) return await runStatement<R>(connectionOf(tx), text, values);
    return await again(() => this.#withConnection((connection) => runStatement<R>(connection, text, values)));
  }

  /** Lends a connection of the pool to `work`. One that broke doesn't go back. */
  async #withConnection<T>(work: (connection: object) => Promise<T>): Promise<T> {
    const { connectionManager } = this.sequelize;
    const connection = await connectionManager.getConnection({ type: "write" });
    try {
      const result = await work(connection);
      connectionManager.releaseConnection(connection);
      return result;
    } catch (error) {
      // A refusal is Postgres' answer; after anything else the connection is in doubt, or gone (FATAL).
      if (error instanceof pg.DatabaseError && error.severity === "ERROR")
        connectionManager.releaseConnection(connection);
      else await connectionManager.destroyConnection(connection).catch(() => undefined);
      throw error;
    }
  }

  /** The first row, if any. */
  async one<R extends object>(
    text: string,
    values: readonly unknown[] = [],
    tx?: Tx,
  ): Promise<R | undefined> {
    const [row] = await this.rows<R>(text, values, tx);
    return row;
  }

  /**
   * Runs `work` in a transaction, and again (up to 4 times) if Postgres rolled it back for a deadlock, a serialization
   * failure or a plan that a migration made void. `work` must have no effect outside the transaction.
   */
  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return await again(() =>
      this.sequelize.transaction((tx) => work(Object.assign(tx, { sequelize: this.sequelize }))),
    );
  }
}

/** Runs a transaction until it isn't rolled back for a reason that passes. */
async function again<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const isRetryable = RETRYABLE.has(sqlState(error) ?? "") || isStalePlan(error);
      if (attempt >= ATTEMPTS || !isRetryable) throw error;
    }
  }
}

/** The SQLSTATE of an error from Sequelize or pg, or undefined. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if ("parent" in error) return sqlState(error.parent);
  return "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** True if the statement broke a unique index (of that name, if given). */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (sqlState(error) !== "23505") return false;
  return constraint === undefined || constraintOf(error) === constraint;
}

function constraintOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if ("parent" in error) return constraintOf(error.parent);
  return "constraint" in error && typeof error.constraint === "string" ? error.constraint : undefined;
}
