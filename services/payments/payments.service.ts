import type { Logger } from "moleculer";
import { call } from "../../lib/call.ts";
import { isFailure, NotFound, OrderNotPayable } from "../../lib/errors.ts";
import type { EventEnvelope } from "../../lib/events.ts";
import { principalOf } from "../../lib/meta.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { toMinor } from "../../lib/money.ts";
import { repeat } from "../../lib/repeat.ts";
import { configOf } from "../../lib/runtime.ts";
import { type Ctx, defineService } from "../../lib/service.ts";
import { idempotency } from "../../mixins/idempotency.ts";
import { jobHandlers } from "../../mixins/job-handlers.ts";
import { jobs } from "../../mixins/jobs.ts";
import { sql } from "../../mixins/sql.ts";
import { audit } from "./audit.ts";
import { charge } from "./charge.ts";
import { cancelOrder } from "./give-back.ts";
import { migrations } from "./migrations/index.ts";
import { PaymentStore } from "./payment-store.ts";
import { isCapture, paymentView, refundView } from "./payment-view.ts";
import { paymentsContract } from "./payments.contract.ts";
import { defineModels } from "./payments.model.ts";
import type { PaymentsParts } from "./payments-parts.ts";
import { providersOf } from "./providers/registry.ts";
import { refundPayment } from "./refund.ts";
import { RefundStore } from "./refund-store.ts";
import { sweep } from "./sweep.ts";
import { receiveWebhook } from "./webhook.ts";

/** ms between two looks for webhooks that are too old to be remembered. */
const FORGET_EVERY = 3_600_000;

interface Options {
  makeProviders?: typeof providersOf;
  /** ms */
  sweepEvery?: number;
}

/** Charges and refunds, through whichever provider the shop is configured for. Its promise stands in charge.ts. */
export function paymentsService({ makeProviders = providersOf, sweepEvery = 2_000 }: Options = {}) {
  return defineService(paymentsContract)({
    mixins: [
      sql("payments", { models: defineModels, migrations }),
      jobs("payments"),
      idempotency("payments"),
    ],

    state() {
      const config = configOf(this.broker);
      const providers = makeProviders(config, this.db);
      const settleAfter = config.PAYMENT_TIMEOUT + providers.active.settlesWithin;
      const parts: PaymentsParts = {
        payments: new PaymentStore(this.db, settleAfter),
        refunds: new RefundStore(this.db, this.publish),
        providers,
        timeout: config.PAYMENT_TIMEOUT,
        logger: this.logger,
        metrics: metricsOf(this.broker),
      };
      const stops: (() => Promise<void>)[] = [];
      return { parts, stops };
    },

    actions: {
      ...jobHandlers,

      async process(ctx) {
        const { id: userId } = principalOf(ctx.meta);
        const { order_id, payment_method } = ctx.params;
        return await this.answerOnce(ctx, "payments.process", async ({ resumed }) => {
          let paymentId: string;
          try {
            paymentId = (await call(ctx, "orders.pay", { order_id, user_id: userId, payment_method }))
              .payment_id;
          } catch (error) {
            // An earlier run under the key may have paid and not lived to say so.
            const live =
              resumed && isFailure(error, OrderNotPayable) && (await this.parts.payments.liveOf(order_id));
            if (!live || !isCapture(live) || live.user_id !== userId) throw error;
            paymentId = live.id;
          }
          return { payment: paymentView(await this.parts.payments.get(paymentId)) };
        });
      },

      async get(ctx) {
        const user = principalOf(ctx.meta);
        const { id } = ctx.params;
        const payment = await this.models.main.findByPk(id);
        if (!payment || (payment.user_id !== user.id && user.role !== "admin")) {
          throw new NotFound({ what: "payment", id });
        }
        const refunds = await this.models.refunds.findAll({
          where: { payment_id: id },
          order: ["created_at", "id"],
        });
        return {
          payment: paymentView(payment),
          refunds: refunds.map((refund) => refundView(refund, payment.currency)),
        };
      },

      async listByOrder(ctx) {
        const { id } = ctx.params;
        // Refuses an order that is unknown, or is somebody else's.
        await call(ctx, "orders.get", { id });
        const payments = await this.models.main.findAll({ where: { order_id: id }, order: ["id"] });
        return { payments: payments.map(paymentView) };
      },

      async refund(ctx) {
        const { id: requestedBy } = principalOf(ctx.meta);
        const { id, amount, reason } = ctx.params;
        return await this.answerOnce(ctx, "payments.refund", async (claim) => {
          const known = await this.models.main.findByPk(id);
          if (!known) throw new NotFound({ what: "payment", id });
          const { refund, payment, event } = await refundPayment(this.parts, known, {
            key: `${known.order_id}:refund:${claim.id}`,
            amount: amount === undefined ? undefined : toMinor(amount),
            reason,
            requestedBy,
          });
          if (event) await tellOrders(this.logger, ctx, event);
          return { refund: refundView(refund, payment.currency), payment: paymentView(payment) };
        });
      },

      async webhook(ctx) {
        const { provider, raw_body, headers } = ctx.params;
        await receiveWebhook(this.parts, provider, raw_body, headers);
        return { received: true };
      },

      async charge(ctx) {
        return await charge(this.parts, ctx.params);
      },

      async cancelOrder(ctx) {
        return await cancelOrder(this.parts, ctx.params.order_id, ctx.params.reason);
      },

      async audit(ctx) {
        return await audit(this.db, ctx.params.order_ids);
      },
    },

    started() {
      const { parts, logger } = this;
      const days = configOf(this.broker).WEBHOOK_RETENTION_DAYS;
      this.stops.push(
        repeat({
          work: (stop) => sweep(parts, stop),
          every: sweepEvery,
          after: sweepEvery,
          failed: (error) => logger.warn("Could not sweep payments", { error: String(error) }),
        }),
        repeat({
          work: (stop) => parts.payments.forgetEvents(days, stop),
          every: FORGET_EVERY,
          failed: (error) => logger.warn("Could not forget old webhooks", { error: String(error) }),
        }),
      );
    },

    async stopped() {
      await Promise.all(this.stops.map((stop) => stop()));
    },
  });
}

/** So that the order shows it at once. The durable event, of the same id, tells it again where this fails. */
async function tellOrders(logger: Logger, ctx: Ctx, event: EventEnvelope<"payment.refunded">): Promise<void> {
  await call(ctx, "orders.onPaymentRefunded", event).catch((error: unknown) => {
    logger.debug("Could not tell orders of a refund", { error: String(error) });
  });
}

export default paymentsService();
