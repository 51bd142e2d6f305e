import { call } from "../../lib/call.ts";
import { MailNotFailed, NotFound } from "../../lib/errors.ts";
import type { EventEnvelope } from "../../lib/events.ts";
import type { Ctx } from "../../lib/service.ts";
import type { Documents } from "../../lib/stores/documents.ts";
import type { Text } from "./messages.ts";
import type { OutboxMessage } from "./notifications.contract.ts";
import { isInApp, type NotificationDocument, type OutboxDocument } from "./notifications.model.ts";

/** Where mails are written to, once for each id. */
export interface Outbox {
  documents: Documents<NotificationDocument>;
  /** Sends what is queued; without it mails are kept, for an admin to read. */
  mailer: { wake(): void } | undefined;
}

type OutgoingMessage = Pick<OutboxMessage, "channel" | "to" | "subject" | "body">;

interface DispatchOptions {
  /** Keep it, whether or not mails are sent. */
  keep?: boolean;
}

/**
 * Puts a message into the outbox, once for each id. It is sent behind that: neither the event nor the request that asked for
 * it waits for a mail server.
 */
export async function dispatch(
  { documents, mailer }: Outbox,
  id: string,
  message: OutgoingMessage,
  { keep = false }: DispatchOptions = {},
): Promise<void> {
  if (await documents.get(id)) return;
  const created_at = new Date().toISOString();
  if (!mailer || keep) {
    await documents.insertOnce({ _id: id, ...message, status: "kept", created_at });
    return;
  }
  const queued = { status: "queued", attempts: 0, queued_at: created_at, due_at: created_at } as const;
  await documents.insertOnce({ _id: id, ...message, ...queued, created_at });
  mailer.wake();
}

/**
 * Mails a user what an event means to them, once for each event, to the address they have now. An account that is gone
 * gets no mail, and that is no failure: no redelivery would find it.
 */
export async function mailUser(
  ctx: Ctx,
  outbox: Outbox,
  { event_id }: EventEnvelope,
  userId: string,
  { title, body }: Text,
  options?: DispatchOptions,
): Promise<void> {
  const user = await call(ctx, "users.find", { id: userId });
  if (!user) return;
  const mail = { channel: "email", to: user.email, subject: title, body } as const;
  await dispatch(outbox, `${event_id}:email`, mail, options);
}

/** Queues a mail that was given up once more. @throws NotFound, MailNotFailed */
export async function resend({ documents, mailer }: Outbox, id: string): Promise<OutboxMessage> {
  const now = new Date().toISOString();
  const queued = { status: "queued", attempts: 0, queued_at: now, due_at: now } as const;
  const changed = await documents.setWhere({ _id: id, status: "failed" }, queued);
  const document = await documents.get(id);
  if (!document || isInApp(document)) throw new NotFound({ what: "mail" });
  if (changed === 0) throw new MailNotFailed({ status: document.status });
  mailer?.wake();
  return outboxMessageOf(document);
}

export function outboxMessageOf(document: OutboxDocument): OutboxMessage {
  const { _id, channel, to, subject, body, status, created_at } = document;
  const { attempts = 0, last_error = null, due_at = null } = document;
  const sending = { attempts, last_error, next_attempt_at: due_at };
  return { id: _id, channel, to, subject, body, status, ...sending, created_at };
}
