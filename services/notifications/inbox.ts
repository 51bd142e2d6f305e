import type { ResultOf } from "../../lib/contract.ts";
import type { EventEnvelope } from "../../lib/events.ts";
import type { Documents } from "../../lib/stores/documents.ts";
import type { Text } from "./messages.ts";
import type { Notification, notificationsContract } from "./notifications.contract.ts";
import { type InAppDocument, isInApp, type NotificationDocument } from "./notifications.model.ts";

/**
 * Puts a message into a user's inbox (or the admins'), once for each event.
 * @param data what an app needs to show more: ids and amounts
 * @param synthetic whether it is about an order of a load generator, whose mails stay here
 */
export async function tell(
  documents: Documents<NotificationDocument>,
  { event_id, event, occurred_at }: EventEnvelope,
  userId: string,
  text: Text,
  data: InAppDocument["data"],
  synthetic = false,
): Promise<void> {
  await documents.insertOnce({
    _id: `${event_id}:in_app`,
    channel: "in_app",
    user_id: userId,
    type: event,
    ...text,
    data,
    order_id: typeof data.order_id === "string" ? data.order_id : null,
    ...(synthetic ? { synthetic } : {}),
    read_at: null,
    created_at: new Date(occurred_at).toISOString(),
  });
}

/** What earlier messages told of an order: its number, null if none did yet, and whether a load generator made it. */
export async function orderTold(
  documents: Documents<NotificationDocument>,
  orderId: string,
): Promise<{ number: string | null; synthetic: boolean }> {
  const told = (await documents.find({ query: { order_id: orderId } })).filter(isInApp);
  const numbers = told.map(({ data }) => data.number).filter((number) => typeof number === "string");
  return { number: numbers[0] ?? null, synthetic: told.some(({ synthetic }) => synthetic === true) };
}

/**
 * How often each event of these orders was told. An order may have several refunds, told of in a row each: so every
 * count is 1 where each event was told once.
 */
export async function auditOf(
  documents: Documents<NotificationDocument>,
  orderIds: readonly string[],
): Promise<ResultOf<typeof notificationsContract.actions.audit>> {
  const found = await documents.find({ query: { order_id: { $in: orderIds } } });
  const rows = new Map<string, { order_id: string; type: string; count: number }>();
  for (const { order_id, type, data } of found.filter(isInApp)) {
    if (order_id === null) continue;
    const key = `${order_id} ${type} ${data.refund_id ?? ""}`;
    const row = rows.get(key) ?? { order_id, type, count: 0 };
    row.count += 1;
    rows.set(key, row);
  }
  return [...rows.values()];
}

export function notificationOf(document: InAppDocument): Notification {
  const { _id, type, title, body, data, read_at, created_at } = document;
  return { id: _id, type, title, body, data, read_at, created_at };
}
