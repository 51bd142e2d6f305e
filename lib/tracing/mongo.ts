import type { MongoClient } from "mongodb";
import { ATTRIBUTES } from "./names.ts";
import { childSpan, type Span } from "./tracing.ts";

/** Spans of a connection's commands; it must have been opened with `monitorCommands`. */
export function traceMongo(client: Pick<MongoClient, "on">): void {
  const spans = new Map<number, Span>();
  const end = (id: number, error?: Error) => {
    const span = spans.get(id);
    if (error) span?.fail(error.name, true);
    span?.end();
    spans.delete(id);
  };
  client.on("commandStarted", ({ requestId, commandName, databaseName, command }) => {
    const collection: unknown = command[commandName];
    const span = childSpan({
      name: typeof collection === "string" ? `${commandName} ${collection}` : commandName,
      kind: "client",
      attributes: {
        [ATTRIBUTES.dbSystem]: "mongodb",
        [ATTRIBUTES.dbNamespace]: databaseName,
        [ATTRIBUTES.dbOperation]: commandName,
        ...(typeof collection === "string" ? { [ATTRIBUTES.dbCollection]: collection } : {}),
      },
    });
    if (span) spans.set(requestId, span);
  });
  client.on("commandSucceeded", ({ requestId }) => end(requestId));
  client.on("commandFailed", ({ requestId, failure }) => end(requestId, failure));
}
