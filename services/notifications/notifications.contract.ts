import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import { MailNotFailed } from "../../lib/errors.ts";
import { envelopeOf } from "../../lib/events.ts";
import { Nullable, Obj, Pagination, pageParams, Text, Timestamp, Uuid } from "../../lib/schema.ts";

export const Notification = Obj({
  id: Type.String(),
  type: Type.String({ examples: ["order.confirmed"] }),
  title: Type.String(),
  body: Type.String(),
  data: Type.Record(Type.String(), Type.Unknown()),
  read_at: Nullable(Timestamp()),
  created_at: Timestamp(),
});
export type Notification = Static<typeof Notification>;

const OutboxStatus = Type.Enum(["kept", "queued", "sent", "failed"]);

export const OutboxMessage = Obj({
  id: Type.String(),
  channel: Type.Enum(["email", "sms"]),
  to: Type.String(),
  subject: Type.String(),
  body: Type.String(),
  status: OutboxStatus,
  attempts: Type.Integer({ description: "how often it was given to the mail server" }),
  last_error: Nullable(
    Type.String({ description: "why the last attempt failed: a code of the connection's, and the server's" }),
  ),
  next_attempt_at: Nullable(Timestamp()),
  created_at: Timestamp(),
});
export type OutboxMessage = Static<typeof OutboxMessage>;

export const notificationsContract = contract(
  "notifications",
  {
    list: action({
      summary: "Your messages, newest first",
      rest: ["GET /notifications"],
      permissions: ["user"],
      params: Obj({ ...pageParams, unread: Type.Optional(Type.Boolean()) }),
      result: Obj({
        notifications: Type.Array(Notification),
        unread: Type.Integer(),
        pagination: Pagination,
      }),
    }),
    read: action({
      summary: "Mark one of your messages as read",
      rest: ["POST /notifications/:id/read"],
      permissions: ["user"],
      params: Obj({ id: Type.String({ minLength: 1, maxLength: 100 }) }),
      result: Notification,
    }),
    outbox: action({
      summary:
        "Mails, newest first, and what became of them: kept (no mail server is set), queued, sent or failed",
      rest: ["GET /admin/outbox"],
      permissions: ["admin"],
      params: Obj({
        ...pageParams,
        to: Type.Optional(Type.String({ maxLength: 254 })),
        status: Type.Optional(OutboxStatus),
      }),
      result: Obj({ messages: Type.Array(OutboxMessage), pagination: Pagination }),
    }),
    resend: action({
      summary: "Queue a mail that failed once more",
      rest: ["POST /admin/outbox/:id/resend"],
      permissions: ["admin"],
      params: Obj({ id: Type.String({ minLength: 1, maxLength: 250 }) }),
      result: OutboxMessage,
      errors: [MailNotFailed],
    }),
    sendMail: action({
      summary: "Send a mail, once for each key",
      permissions: ["service"],
      params: Obj({
        key: Type.String({ maxLength: 200 }),
        to: Type.String({ maxLength: 254 }),
        subject: Text(200),
        body: Text(10_000),
      }),
      result: Type.Null(),
      idempotent: true,
    }),
    onUserRegistered: action({
      summary: "Welcome a new user",
      permissions: ["service"],
      params: envelopeOf("user.registered"),
      result: Type.Null(),
      idempotent: true,
    }),
    onOrder: action({
      summary: "Tell a customer of a change of their order",
      permissions: ["service"],
      params: envelopeOf(
        "order.placed",
        "order.confirmed",
        "order.processing",
        "order.shipped",
        "order.delivered",
        "order.cancelled",
        "order.refunded",
      ),
      result: Type.Null(),
      idempotent: true,
    }),
    onPaymentRefunded: action({
      summary: "Tell a customer of a refund",
      permissions: ["service"],
      params: envelopeOf("payment.refunded"),
      result: Type.Null(),
      idempotent: true,
    }),
    onStockLow: action({
      summary: "Tell the admins that a product runs low",
      permissions: ["service"],
      params: envelopeOf("stock.low"),
      result: Type.Null(),
      idempotent: true,
    }),
    audit: action({
      summary: "Which events of these orders were told of, and how often each: more than once breaks I5",
      permissions: ["service", "admin"],
      params: Obj({ order_ids: Type.Array(Uuid(), { maxItems: 1000 }) }),
      result: Type.Array(Obj({ order_id: Uuid(), type: Type.String(), count: Type.Integer() })),
      timeout: 60_000,
    }),
  },
  {
    "user.registered": "onUserRegistered",
    "order.placed": "onOrder",
    "order.confirmed": "onOrder",
    "order.processing": "onOrder",
    "order.shipped": "onOrder",
    "order.delivered": "onOrder",
    "order.cancelled": "onOrder",
    "order.refunded": "onOrder",
    "payment.refunded": "onPaymentRefunded",
    "stock.low": "onStockLow",
  },
);
