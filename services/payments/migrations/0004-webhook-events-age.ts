import type { Migration } from "../../../lib/stores/migrate.ts";

/** So that the old ones are found without reading all. */
export const webhookEventsAge: Migration = {
  name: "0004-webhook-events-age",
  up: "CREATE INDEX webhook_events_received_at ON webhook_events (received_at);",
  down: "DROP INDEX webhook_events_received_at;",
};
