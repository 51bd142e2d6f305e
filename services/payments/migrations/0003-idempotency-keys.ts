import { idempotencyKeysTable } from "../../../lib/stores/idempotency.ts";
import type { Migration } from "../../../lib/stores/migrate.ts";

export const idempotencyKeys: Migration = { name: "0003-idempotency-keys", ...idempotencyKeysTable() };
