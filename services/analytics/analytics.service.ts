import { Compile } from "typebox/compile";
import { configOf } from "../../lib/runtime.ts";
import { defineService } from "../../lib/service.ts";
import { OldDocuments } from "../../lib/stores/old-documents.ts";
import { documents } from "../../mixins/documents.ts";
import { analyticsContract, BehaviourSignal } from "./analytics.contract.ts";
import { type AnalyticsDocument, BEHAVIOUR_KINDS, INDEXES } from "./analytics.model.ts";
import { documentOf, documentOfSignal, eventsOf } from "./behaviour.ts";
import { documentsOf } from "./paging.ts";
import { periodOf, slicesOf } from "./period.ts";
import { SummaryFold } from "./summary.ts";

/** Plain events pass no contract check on their way. */
const signal = Compile(BehaviourSignal);

export default defineService(analyticsContract)({
  mixins: [documents<AnalyticsDocument>("analytics", { indexes: INDEXES })],

  state() {
    return { stop: async () => {} };
  },

  actions: {
    async record(ctx) {
      const { meta } = ctx;
      const events = eventsOf(ctx.params);
      for (const event of events) await this.documents.insertOnce(documentOf(meta, event));
      return { accepted: events.length };
    },

    async summary(ctx) {
      const period = periodOf(ctx.params, new Date());
      const fold = new SummaryFold(configOf(this.broker).CURRENCY);
      const days: string[] = [];
      for (const slice of slicesOf(period)) {
        days.push(slice.day);
        for await (const document of documentsOf(this.documents, slice)) fold.add(slice.day, document);
      }
      return fold.result(period, days);
    },

    async onOrder(ctx) {
      const { event_id, event, occurred_at, data } = ctx.params;
      await this.documents.insertOnce({
        _id: event_id,
        at: new Date(occurred_at).toISOString(),
        kind: event,
        order_id: data.order_id,
        total: data.total,
        currency: data.currency,
        items: data.items,
        synthetic: data.synthetic,
      });
      return null;
    },

    async onPaymentRefunded(ctx) {
      const { event_id, event, occurred_at, data } = ctx.params;
      await this.documents.insertOnce({
        _id: event_id,
        at: new Date(occurred_at).toISOString(),
        kind: event,
        order_id: data.order_id,
        amount: data.amount,
        currency: data.currency,
      });
      return null;
    },
  },

  events: {
    async "analytics.behaviour"(ctx) {
      if (signal.Check(ctx.params)) await this.documents.insertOnce(documentOfSignal(ctx.params));
    },
  },

  started() {
    const { logger } = this;
    // What became of orders stays: it is the shop's books.
    const behaviour = new OldDocuments(this.documents, "at", { kind: { $in: BEHAVIOUR_KINDS } });
    const days = configOf(this.broker).ANALYTICS_RETENTION_DAYS;
    this.stop = behaviour.removeAfter(days, (error) =>
      logger.warn("Could not forget old behaviour", { error: String(error) }),
    );
  },

  async stopped() {
    await this.stop();
  },
});
