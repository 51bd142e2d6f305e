import { createHash } from "node:crypto";
import pg from "pg";
import type { Tx } from "./database.ts";

/**
 * Plain SQL on a connection of Sequelize's pool, as a prepared statement: each connection parses and plans a text once
 * instead of at every use, which is most of what a short statement costs.
 */

/** Texts that are kept prepared on each connection: those that are put together for one request must not pile up. */
const MAX_TEXTS = 400;
const names = new Map<string, string>();
/** Raised when a migration has changed what prepared statements answer: from then on they go by other names. */
let generation = 0;

/** Runs a statement with `$1…` parameters. @throws pg's errors: `code` is the SQLSTATE */
export async function runStatement<R extends object>(
  connection: object,
  text: string,
  values: readonly unknown[],
): Promise<R[]> {
  if (!(connection instanceof pg.Client)) throw new Error("This is no connection of pg.");
  const name = nameOf(text);
  try {
    const { rows } = await connection.query<R & pg.QueryResultRow>({
      text,
      values: [...values],
      ...(name === undefined ? {} : { name }),
    });
    return rows;
  } catch (error) {
    if (isStalePlan(error)) generation++;
    throw error;
  }
}

/** The connection that a transaction has (it does at run time; its published type leaves that out). */
export function connectionOf(tx: Tx): object {
  if (!("connection" in tx) || typeof tx.connection !== "object" || tx.connection === null)
    throw new Error("The transaction has no connection.");
  return tx.connection;
}

/** A migration has changed a table that the statement reads: run again, it is prepared anew. */
export function isStalePlan(error: unknown): boolean {
  return error instanceof Error && error.message === "cached plan must not change result type";
}

function nameOf(text: string): string | undefined {
  let hash = names.get(text);
  if (hash === undefined) {
    if (names.size >= MAX_TEXTS) return undefined;
    hash = createHash("sha256").update(text).digest("base64url").slice(0, 22);
    names.set(text, hash);
  }
  return generation === 0 ? hash : `${hash}.${generation}`;
}
