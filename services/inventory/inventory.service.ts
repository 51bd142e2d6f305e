import { crashPoint } from "../../lib/crash.ts";
import { InsufficientStock, isFailure } from "../../lib/errors.ts";
import { type Counting, metricsOf } from "../../lib/metrics.ts";
import { configOf } from "../../lib/runtime.ts";
import { defineService } from "../../lib/service.ts";
import { jobHandlers } from "../../mixins/job-handlers.ts";
import { jobs } from "../../mixins/jobs.ts";
import { sql } from "../../mixins/sql.ts";
import { announce } from "./announce.ts";
import { audit, auditOrders } from "./audit.ts";
import { inventoryContract } from "./inventory.contract.ts";
import { defineModels } from "./inventory.model.ts";
import type { Inventory } from "./inventory.ts";
import { adjustLevel, changedLevels, setLevel, setLevels } from "./levels.ts";
import { migrations } from "./migrations/index.ts";
import { commit, giveBack, release, reserve } from "./reservations.ts";
import { stockSamples } from "./stock-figures.ts";
import { levelOf, noStock } from "./stock-level.ts";

/** How much there is of each product, and which order has a hold on it. */
export default defineService(inventoryContract)({
  mixins: [sql("inventory", { models: defineModels, migrations }), jobs("inventory")],

  state(): { inventory: Inventory; metrics: Counting } {
    const { LOW_STOCK_THRESHOLD: lowStockThreshold } = configOf(this.broker);
    const metrics = metricsOf(this.broker);
    metrics.collect("stock", () => stockSamples(this.db));
    return { metrics, inventory: { db: this.db, publish: this.publish, lowStockThreshold } };
  },

  actions: {
    ...jobHandlers,

    async levels(ctx) {
      const { product_ids } = ctx.params;
      const rows = await this.models.main.findAll({ where: { product_id: product_ids } });
      const levels = new Map(rows.map((row) => [row.product_id, levelOf(row)]));
      return product_ids.map((id) => levels.get(id) ?? noStock(id));
    },

    async changes(ctx) {
      return await changedLevels(this.db, ctx.params);
    },

    async set(ctx) {
      const level = await setLevel(this.inventory, ctx.params.product_id, ctx.params.on_hand);
      await announce(ctx, [level]);
      return level;
    },

    async setMany(ctx) {
      const answer = await setLevels(this.inventory, ctx.params.levels);
      await announce(ctx, answer.levels);
      return answer;
    },

    async adjust(ctx) {
      const level = await adjustLevel(this.inventory, ctx.params.product_id, ctx.params.change);
      await announce(ctx, [level]);
      return level;
    },

    async reserve(ctx) {
      const { order_id, items, expires_at } = ctx.params;
      const { reservation, changed } = await reserve(this.inventory, order_id, items, expires_at).catch(
        (error: unknown) => {
          if (isFailure(error, InsufficientStock)) this.metrics.count("molecart_stock_refusals_total", {});
          throw error;
        },
      );
      await crashPoint("inventory.reserve.after");
      await announce(ctx, changed);
      return reservation;
    },

    async release(ctx) {
      const { reservation, changed } = await release(this.inventory, ctx.params.order_id);
      await crashPoint("inventory.release.after");
      await announce(ctx, changed);
      return reservation;
    },

    async commit(ctx) {
      const { reservation } = await commit(this.inventory, ctx.params.order_id);
      await crashPoint("inventory.commit.after");
      // Not announced: what was reserved is sold, so as much is available as before. The feed of changes has it.
      return reservation;
    },

    async giveBack(ctx) {
      const { reservation, changed } = await giveBack(this.inventory, ctx.params.order_id);
      await crashPoint("inventory.giveBack.after");
      await announce(ctx, changed);
      return reservation;
    },

    async audit() {
      return await audit(this.db);
    },

    async auditOrders(ctx) {
      return await auditOrders(this.db, ctx.params.order_ids);
    },
  },
});
