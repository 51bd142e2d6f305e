import type { Migration } from "../../../lib/stores/migrate.ts";

/** An answer that is given again is the first one to the letter: jsonb has its own order of an object's properties. */
export const answersAsGiven: Migration = {
  name: "0004-answers-as-given",
  up: "ALTER TABLE checkout_keys ALTER COLUMN answer TYPE json USING answer::json;",
  down: "ALTER TABLE checkout_keys ALTER COLUMN answer TYPE jsonb USING answer::jsonb;",
};
