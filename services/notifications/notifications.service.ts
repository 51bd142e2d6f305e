import { NotFound, Unavailable } from "../../lib/errors.ts";
import { beforeStop } from "../../lib/lifecycle.ts";
import { principalOf } from "../../lib/meta.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { toDecimal } from "../../lib/money.ts";
import { configOf } from "../../lib/runtime.ts";
import { pageOf } from "../../lib/schema.ts";
import { type Ctx, defineService } from "../../lib/service.ts";
import { OldDocuments } from "../../lib/stores/old-documents.ts";
import { atMost } from "../../lib/waiting.ts";
import { documents } from "../../mixins/documents.ts";
import { auditOf, notificationOf, orderTold, tell } from "./inbox.ts";
import { Mailer, mailSamples } from "./mailer.ts";
import { orderText, refundText, stockLowText, welcomeText } from "./messages.ts";
import { notificationsContract } from "./notifications.contract.ts";
import { ADMINS, INDEXES, isInApp, type NotificationDocument } from "./notifications.model.ts";
import { dispatch, mailUser, type Outbox, outboxMessageOf, resend } from "./outbox.ts";
import { smtpTransport, type Transport } from "./smtp.ts";

const NEWEST_FIRST = ["-created_at", "-_id"];

/** ms that a refund's mail waits for a message of its order, which says whether the mail may leave the shop. */
const ORDER_TOLD_WITHIN = 300_000;

export default defineService(notificationsContract)({
  mixins: [documents<NotificationDocument>("notifications", { indexes: INDEXES })],

  state(): {
    outbox: Outbox;
    mailer: Mailer | undefined;
    transport: Transport | undefined;
    stopForgetting: () => Promise<void>;
  } {
    const { broker, documents, logger } = this;
    const config = configOf(broker);
    const metrics = metricsOf(broker);
    const stopForgetting = async () => {};
    metrics.collect("mails", () => mailSamples(documents));
    if (config.SMTP_URL === "") {
      const outbox = { documents, mailer: undefined };
      return { outbox, mailer: undefined, transport: undefined, stopForgetting };
    }
    const transport = smtpTransport(config);
    const mailer = new Mailer({ documents, transport, metrics, logger });
    beforeStop(broker, async () => {
      await atMost(config.SHUTDOWN_TIMEOUT, mailer.stop());
    });
    return { outbox: { documents, mailer }, mailer, transport, stopForgetting };
  },

  actions: {
    async list(ctx) {
      const { limit, offset, pagination } = pageOf(ctx.params);
      const mine = { user_id: { $in: inboxesOf(ctx) } };
      const { unread: wanted } = ctx.params;
      const query = wanted === undefined ? mine : { ...mine, read_at: wanted ? null : { $ne: null } };
      const [found, total, unread] = await Promise.all([
        this.documents.find({ query, sort: NEWEST_FIRST, limit, offset }),
        this.documents.count(query),
        this.documents.count({ ...mine, read_at: null }),
      ]);
      return {
        notifications: found.filter(isInApp).map(notificationOf),
        unread,
        pagination: pagination(total),
      };
    },

    async read(ctx) {
      const { id } = ctx.params;
      const inboxes = inboxesOf(ctx);
      // Only where it is still unread, so that the first of two clicks counts.
      await this.documents.setWhere(
        { _id: id, user_id: { $in: inboxes }, read_at: null },
        { read_at: new Date().toISOString() },
      );
      const document = await this.documents.get(id);
      if (!document || !isInApp(document) || !inboxes.includes(document.user_id)) {
        throw new NotFound({ what: "message" });
      }
      return notificationOf(document);
    },

    async outbox(ctx) {
      const { limit, offset, pagination } = pageOf(ctx.params);
      const { to, status } = ctx.params;
      // Only mails and texts have an address.
      const query = { to: to ?? { $gt: "" }, ...(status === undefined ? {} : { status }) };
      const [found, total] = await Promise.all([
        this.documents.find({ query, sort: NEWEST_FIRST, limit, offset }),
        this.documents.count(query),
      ]);
      return {
        messages: found.flatMap((document) => (isInApp(document) ? [] : [outboxMessageOf(document)])),
        pagination: pagination(total),
      };
    },

    async resend(ctx) {
      return await resend(this.outbox, ctx.params.id);
    },

    async sendMail(ctx) {
      const { key, ...message } = ctx.params;
      await dispatch(this.outbox, `key:${key}:email`, { channel: "email", ...message });
      return null;
    },

    async onUserRegistered(ctx) {
      const { data } = ctx.params;
      await mailUser(ctx, this.outbox, ctx.params, data.user_id, welcomeText(data));
      return null;
    },

    async onOrder(ctx) {
      const { event, data } = ctx.params;
      const { order_id, number, status, total, currency, reason, user_id, synthetic } = data;
      const { mail, ...text } = orderText(event, data);
      const shown = { order_id, number, status, total_amount: toDecimal(total), currency, reason };
      await tell(this.documents, ctx.params, user_id, text, shown, synthetic);
      if (mail) await mailUser(ctx, this.outbox, ctx.params, user_id, text, { keep: synthetic });
      return null;
    },

    async onPaymentRefunded(ctx) {
      const { data, occurred_at } = ctx.params;
      const { order_id, payment_id, refund_id, amount, currency, reason, user_id } = data;
      const { number, synthetic } = await orderTold(this.documents, order_id);
      // The refund of a checkout that is undone may be heard of before its order: it is delivered again.
      if (this.mailer && number === null && Date.now() - Date.parse(occurred_at) < ORDER_TOLD_WITHIN)
        throw new Unavailable({ retry_after: 1 });
      const text = refundText(data, number);
      const shown = { order_id, number, payment_id, refund_id, amount: toDecimal(amount), currency, reason };
      await tell(this.documents, ctx.params, user_id, text, shown, synthetic);
      await mailUser(ctx, this.outbox, ctx.params, user_id, text, { keep: synthetic });
      return null;
    },

    async onStockLow(ctx) {
      const { data } = ctx.params;
      await tell(this.documents, ctx.params, ADMINS, stockLowText(data), data);
      return null;
    },

    async audit(ctx) {
      return await auditOf(this.documents, ctx.params.order_ids);
    },
  },

  started() {
    const { logger } = this;
    const days = configOf(this.broker).NOTIFICATION_RETENTION_DAYS;
    this.stopForgetting = new OldDocuments(this.documents, "created_at").removeAfter(days, (error) =>
      logger.warn("Could not forget old messages", { error: String(error) }),
    );
    this.mailer?.start();
  },

  async stopped() {
    await this.stopForgetting();
    // Those that did not end in time: another node sends them, or this one when it is back.
    this.transport?.close();
    await this.mailer?.stop();
  },
});

/** The inboxes a user reads: their own, and that of the admins for an admin. */
function inboxesOf(ctx: Ctx): string[] {
  const { id, role } = principalOf(ctx.meta);
  return role === "admin" ? [id, ADMINS] : [id];
}
