import type { OutboxMessage } from "./notifications.contract.ts";

/** A message in the shop itself. Its `_id` is made of the event it tells of, so a redelivered event writes it once. */
export interface InAppDocument {
  _id: string;
  channel: "in_app";
  /** Whose it is; {@link ADMINS} for the inbox that all admins share. */
  user_id: string;
  /** The event's name. */
  type: string;
  title: string;
  body: string;
  data: Record<string, string | number | null>;
  /** The order it is about, if any: what `audit` counts by. */
  order_id: string | null;
  /** There, and true, where a load generator made the order. */
  synthetic?: boolean;
  read_at: string | null;
  /** When the event happened, not when we heard of it: events come in no order. */
  created_at: string;
}

/** A mail or a text, and what became of it. */
export interface OutboxDocument
  extends Omit<OutboxMessage, "id" | "attempts" | "last_error" | "next_attempt_at"> {
  _id: string;
  /** Those below: of what is, or was, to be sent. */
  attempts?: number;
  last_error?: string | null;
  /** Since when it is to be sent: it is given up some days later. */
  queued_at?: string;
  /** Only while it is queued: when it is to be sent. Whoever sends it puts this off first, and so has it for that long. */
  due_at?: string;
}

export type NotificationDocument = InAppDocument | OutboxDocument;

/** The inbox of whoever is an admin, today and tomorrow: what one of them has read is read for all. */
export const ADMINS = "admins";

/** Not the channel: hundreds of thousands under each of a few values make each change of one slow (mixins/documents.ts). */
export const INDEXES = ["user_id", "order_id", "to", "created_at", "due_at"] as const;

export function isInApp(document: NotificationDocument): document is InAppDocument {
  return document.channel === "in_app";
}
