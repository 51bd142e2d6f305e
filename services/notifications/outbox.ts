import { call } from "../../lib/call.ts";
import type { EventEnvelope } from "../../lib/events.ts";
import type { Ctx } from "../../lib/service.ts";
import type { Documents } from "../../lib/stores/documents.ts";
import type { Text } from "./messages.ts";
import type { NotificationDocument } from "./notifications.model.ts";
import { type OutgoingMessage, senders } from "./senders.ts";

/**
 * Sends a message and notes it in the outbox, once for each id. (A crash between the two sends it again: nobody can
 * send a mail and write a document in one transaction, and twice is better than never.)
 */
export async function dispatch(
  documents: Documents<NotificationDocument>,
  id: string,
  message: OutgoingMessage,
): Promise<void> {
  if (await documents.get(id)) return;
  const status = await senders[message.channel].send(message);
  await documents.insertOnce({ _id: id, ...message, status, created_at: new Date().toISOString() });
}

/**
 * Mails a user what an event means to them, once for each event, to the address they have now. An account that is gone
 * gets no mail, and that is no failure: no redelivery would find it.
 */
export async function mailUser(
  ctx: Ctx,
  documents: Documents<NotificationDocument>,
  { event_id }: EventEnvelope,
  userId: string,
  { title, body }: Text,
): Promise<void> {
  const user = await call(ctx, "users.find", { id: userId });
  if (!user) return;
  await dispatch(documents, `${event_id}:email`, { channel: "email", to: user.email, subject: title, body });
}
