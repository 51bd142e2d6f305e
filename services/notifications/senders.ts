import type { OutboxMessage } from "./notifications.contract.ts";

export type OutgoingMessage = Pick<OutboxMessage, "channel" | "to" | "subject" | "body">;

/** What takes messages out of the shop. */
export interface Sender {
  /**
   * @returns what became of the message, for the outbox
   * @throws what may succeed later: the event that asked for the message is then delivered again
   */
  send(message: OutgoingMessage): Promise<OutboxMessage["status"]>;
}

/** Sends nothing: the message stands in the outbox, where an admin reads it. */
const keeper: Sender = { send: async () => "kept" };

/** Who sends what: the one place to put a provider in. */
export const senders: Readonly<Record<OutgoingMessage["channel"], Sender>> = { email: keeper, sms: keeper };
