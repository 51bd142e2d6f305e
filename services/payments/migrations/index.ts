import type { Migration } from "../../../lib/stores/migrate.ts";
import { payments } from "./0001-payments.ts";
import { sandbox } from "./0002-sandbox.ts";
import { idempotencyKeys } from "./0003-idempotency-keys.ts";
import { webhookEventsAge } from "./0004-webhook-events-age.ts";
import { openAttempt } from "./0005-open-attempt.ts";
import { answersAsGiven } from "./0006-answers-as-given.ts";

export const migrations: readonly Migration[] = [
  payments,
  sandbox,
  idempotencyKeys,
  webhookEventsAge,
  openAttempt,
  answersAsGiven,
];
