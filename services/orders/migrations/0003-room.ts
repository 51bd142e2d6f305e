import type { Migration } from "../../../lib/stores/migrate.ts";

/**
 * Room for a saga's writes in place (HOT): each checkout writes its saga three times, and `sagas_state` held
 * `updated_at`, so that each write cost an entry in every index. Who looks for sagas by state finds the few that are
 * not at their end by `sagas_live`. Old keys are looked for once an hour.
 */
export const room: Migration = {
  name: "0003-room",
  up: `
    DROP INDEX sagas_state;
    ALTER TABLE sagas SET (fillfactor = 60);
    DROP INDEX checkout_keys_created;
    CREATE INDEX checkout_keys_created ON checkout_keys USING brin (created_at);`,
  down: `
    DROP INDEX checkout_keys_created;
    CREATE INDEX checkout_keys_created ON checkout_keys (created_at);
    ALTER TABLE sagas RESET (fillfactor);
    CREATE INDEX sagas_state ON sagas (state, updated_at) WHERE state NOT IN ('done', 'undone');`,
};
