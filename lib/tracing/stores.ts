import { tracingChannel } from "node:diagnostics_channel";
import pg from "pg";
import { sqlState } from "../stores/database.ts";
import { ATTRIBUTES } from "./names.ts";
import { statementOf } from "./statement.ts";
import { childSpan, type Span } from "./tracing.ts";

/**
 * Spans of what is asked of Postgres and Redis (MongoDB's are made where its connection is: mongo.ts). All SQL goes
 * through `pg.Client`, be it Sequelize's, pg-boss's or a pool's.
 */

let hooked = false;

/** Once a process. While tracing is off, or for what no trace is recorded of, the hooks do nothing. */
export function traceStores(): void {
  if (hooked) return;
  hooked = true;
  tracePostgres();
  traceRedis();
}

type Callback = (error: unknown, result: unknown) => void;

function tracePostgres(): void {
  const { prototype } = pg.Client;
  const query: (...args: unknown[]) => unknown = prototype.query;
  Reflect.set(prototype, "query", function (this: pg.Client, ...args: unknown[]): unknown {
    const text = textOf(args[0]);
    const span = text === undefined ? undefined : sqlSpan(text, this.database);
    if (!span) return Reflect.apply(query, this, args);
    const end = (error?: unknown) => {
      if (error) failed(span, error);
      span.end();
    };
    const at = args.findIndex((argument) => typeof argument === "function");
    const callback = args[at];
    if (isCallback(callback)) {
      args[at] = (error: unknown, result: unknown) => {
        end(error);
        callback(error, result);
      };
      return Reflect.apply(query, this, args);
    }
    const result = Reflect.apply(query, this, args);
    if (result instanceof Promise) result.then(() => end(), end);
    else end();
    return result;
  });
}

function isCallback(value: unknown): value is Callback {
  return typeof value === "function";
}

function textOf(query: unknown): string | undefined {
  if (typeof query === "string") return query;
  if (typeof query !== "object" || query === null || !("text" in query)) return undefined;
  return typeof query.text === "string" ? query.text : undefined;
}

function sqlSpan(sql: string, database: string | undefined): Span | undefined {
  const span = childSpan({ name: "SQL", kind: "client" });
  if (!span) return undefined;
  const { text, operation, summary } = statementOf(sql);
  span.rename(summary);
  span.set({
    [ATTRIBUTES.dbSystem]: "postgresql",
    [ATTRIBUTES.dbOperation]: operation,
    [ATTRIBUTES.dbStatement]: text,
    ...(database === undefined ? {} : { [ATTRIBUTES.dbNamespace]: database }),
  });
  return span;
}

function failed(span: Span, error: unknown): void {
  const state = sqlState(error);
  if (state !== undefined) span.set({ [ATTRIBUTES.dbStatus]: state });
  span.fail(state ?? (error instanceof Error ? error.name : "unknown"), true);
}

/** What ioredis tells of a command; its arguments hold carts and sessions and are left alone. */
interface Command {
  command: string;
  error?: unknown;
}

function traceRedis(): void {
  const spans = new WeakMap<Command, Span>();
  const end = (command: Command) => {
    spans.get(command)?.end();
    spans.delete(command);
  };
  tracingChannel<"ioredis:command", Command>("ioredis:command").subscribe({
    start(command) {
      const name = command.command.toUpperCase();
      const attributes = { [ATTRIBUTES.dbSystem]: "redis", [ATTRIBUTES.dbOperation]: name };
      const span = childSpan({ name, kind: "client", attributes });
      if (span) spans.set(command, span);
    },
    error(command) {
      const { error } = command;
      spans.get(command)?.fail(error instanceof Error ? error.name : "unknown", true);
    },
    asyncEnd: end,
    end() {},
    asyncStart() {},
  });
}
