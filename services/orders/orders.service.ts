import { principalOf } from "../../lib/meta.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { repeat } from "../../lib/repeat.ts";
import { configOf } from "../../lib/runtime.ts";
import { type PageParams, pageOf } from "../../lib/schema.ts";
import { type Ctx, defineService } from "../../lib/service.ts";
import { jobHandlers } from "../../mixins/job-handlers.ts";
import { jobs } from "../../mixins/jobs.ts";
import { sql } from "../../mixins/sql.ts";
import { auditPage } from "./audit.ts";
import { closeOrder, confirmUnpaid, expireOrder, followRefund, moveOrder, payOrder } from "./changes.ts";
import { checkout, markReplayed } from "./checkout.ts";
import { CheckoutAnswers } from "./checkout-answers.ts";
import { migrations } from "./migrations/index.ts";
import { OrderStore } from "./order-store.ts";
import { orderView } from "./order-view.ts";
import { ordersContract } from "./orders.contract.ts";
import { defineModels } from "./orders.model.ts";
import type { OrdersParts } from "./saga-context.ts";
import { driveSaga, goesOn, resumeSaga, WHILE_ASKED } from "./saga-driver.ts";
import { sagaFigures, sagaSamples } from "./saga-figures.ts";
import { DEAD_SAGA_QUEUE, EXPIRY_QUEUE, SAGA_QUEUE } from "./saga-records.ts";
import { SagaStore } from "./saga-store.ts";
import { listSagas, sagaOf } from "./sagas.ts";
import { SalesFigures } from "./sales-figures.ts";

const SWEEP_EVERY = 3_600_000;

export default defineService(ordersContract)({
  mixins: [sql("orders", { models: defineModels, migrations }), jobs("orders", [SAGA_QUEUE, EXPIRY_QUEUE])],

  state() {
    const config = configOf(this.broker);
    const metrics = metricsOf(this.broker);
    metrics.collect("sagas", () => sagaSamples(this.db));
    const parts: OrdersParts = {
      db: this.db,
      orders: new OrderStore(this.db, this.publish, metrics),
      sagas: new SagaStore(this.db, this.jobs, this.broker.nodeID, config.SAGA_LEASE),
      answers: new CheckoutAnswers(this.db),
      metrics,
      config,
    };
    const stopSweep = repeat({
      work: () => parts.answers.sweep(),
      every: SWEEP_EVERY,
      after: SWEEP_EVERY,
      failed: (error) => this.logger.warn("Could not sweep idempotency keys", { error: String(error) }),
    });
    return { parts, stopSweep, sales: new SalesFigures(this.db, config.CURRENCY) };
  },

  actions: {
    ...jobHandlers,

    async checkout(ctx) {
      const { order, replayed } = await checkout(this.parts, ctx, principalOf(ctx.meta).id);
      if (replayed) markReplayed(ctx.meta);
      return { order };
    },

    async list(ctx) {
      return await orderPage(
        this.parts.orders,
        { user_id: principalOf(ctx.meta).id, status: ctx.params.status },
        ctx.params,
      );
    },

    async get(ctx) {
      const { order, items, history } = await this.parts.orders.get(ctx.params.id, ownerOf(ctx));
      return orderView(order, items, history);
    },

    async history(ctx) {
      const { order, items, history } = await this.parts.orders.get(ctx.params.id, ownerOf(ctx));
      return { history: orderView(order, items, history).history };
    },

    async cancel(ctx) {
      const { id, reason } = ctx.params;
      const userId = ownerOf(ctx);
      const actor = userId === undefined ? "admin" : "customer";
      await closeOrder(this.parts, ctx, id, "cancelled", {
        actor,
        ...(userId === undefined ? {} : { userId }),
        reason: reason ?? `cancelled_by_${actor}`,
      });
      return await this.parts.orders.view(id);
    },

    async setStatus(ctx) {
      const { id, status, reason } = ctx.params;
      if (status === "cancelled" || status === "refunded") {
        await closeOrder(this.parts, ctx, id, status, {
          actor: "admin",
          reason: reason ?? `${status}_by_admin`,
        });
      } else if (status === "confirmed" || status === "pending") {
        const { order } = await this.parts.orders.get(id);
        if (status === "pending" || order.status !== "pending")
          await moveOrder(this.parts, id, status, reason);
        else await confirmUnpaid(this.parts, ctx, id, reason);
      } else {
        await moveOrder(this.parts, id, status, reason);
      }
      return await this.parts.orders.view(id);
    },

    async listAll(ctx) {
      const { user_id, status, from, to } = ctx.params;
      return await orderPage(this.parts.orders, { user_id, status, from, to }, ctx.params);
    },

    async listByUser(ctx) {
      return await orderPage(
        this.parts.orders,
        { user_id: ctx.params.user_id, status: ctx.params.status },
        ctx.params,
      );
    },

    async pay(ctx) {
      const { order_id, user_id, payment_method } = ctx.params;
      return { payment_id: await payOrder(this.parts, ctx, order_id, user_id, payment_method) };
    },

    async onPaymentRefunded(ctx) {
      await followRefund(this.parts, ctx, ctx.params.data);
      return null;
    },

    async sagas(ctx) {
      return await listSagas(this.db, ctx.params);
    },

    async redriveSaga(ctx) {
      const { order_id } = ctx.params;
      const parked = await this.parts.sagas.parkedOf(order_id);
      const saga = parked && (await this.parts.sagas.redrive(parked));
      if (saga) {
        try {
          await driveSaga(this.parts, ctx, saga, await this.parts.orders.get(order_id), WHILE_ASKED);
        } catch (error) {
          if (!goesOn(error)) throw error;
        }
      }
      return await sagaOf(this.db, order_id);
    },

    async figures() {
      const [minutes, sagas] = await Promise.all([this.sales.minutes(Date.now()), sagaFigures(this.db)]);
      return { currency: this.parts.config.CURRENCY, minutes, sagas };
    },

    async audit(ctx) {
      return await auditPage(this.db, ctx.params.after, ctx.params.limit);
    },
  },

  async started() {
    await this.jobs.work<{ saga_id: string }>(SAGA_QUEUE.name, { takers: 2 }, async ({ saga_id }) => {
      await resumeSaga(this.parts, this, saga_id);
    });
    await this.jobs.work<{ saga_id: string }>(DEAD_SAGA_QUEUE, {}, async ({ saga_id }) => {
      await this.parts.sagas.park(saga_id);
      this.logger.error("A saga's job was given up: it is parked", { saga: saga_id });
    });
    await this.jobs.work<{ order_id: string }>(EXPIRY_QUEUE.name, { batch: 10 }, async ({ order_id }) => {
      await expireOrder(this.parts, this, order_id);
    });
  },

  async stopped() {
    await this.stopSweep();
  },
});

/** Whose orders the caller may see: their own; undefined for an admin, who may see everybody's. */
function ownerOf(ctx: Ctx): string | undefined {
  const user = principalOf(ctx.meta);
  return user.role === "admin" ? undefined : user.id;
}

/** Orders by a filter, newest first, as the lists answer them. */
async function orderPage(store: OrderStore, filter: Parameters<OrderStore["list"]>[0], params: PageParams) {
  const { limit, offset, pagination } = pageOf(params);
  const { orders, total } = await store.list(filter, limit, offset);
  return { orders, pagination: pagination(total) };
}
