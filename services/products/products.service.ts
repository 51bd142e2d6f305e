import Type from "typebox";
import { Compile } from "typebox/compile";
import { call, type Origin } from "../../lib/call.ts";
import { repeat } from "../../lib/repeat.ts";
import { configOf } from "../../lib/runtime.ts";
import { Obj } from "../../lib/schema.ts";
import { defineService } from "../../lib/service.ts";
import { atMost, goodFor } from "../../lib/waiting.ts";
import { sql } from "../../mixins/sql.ts";
import { StockLevel } from "../inventory/inventory.contract.ts";
import { CatalogueCache, PRODUCTS_CHANGED, ProductsChanged } from "./cache.ts";
import {
  type Catalogue,
  createProduct,
  existing,
  quotesOf,
  takeLevel,
  updateProduct,
  withdrawProduct,
} from "./catalogue.ts";
import { categoryTree, createCategory, removeCategory, updateCategory } from "./categories.ts";
import { loadDemoCatalogue } from "./demo-catalogue.ts";
import { Importer } from "./import/importer.ts";
import { listProducts } from "./list.ts";
import { lowStock } from "./low-stock.ts";
import { migrations } from "./migrations/index.ts";
import { productsContract } from "./products.contract.ts";
import { defineModels } from "./products.model.ts";
import { readStockFeed, StockQueue } from "./stock.ts";

/** ms between two looks at inventory's feed, in case an event was lost. */
const FEED_EVERY = 30_000;
/** ms after which a background task that keeps failing is worth a warning: at a start others may just not be there yet. */
const PATIENCE = 1000;

/**
 * ms that inventory, in the same process, waits for the catalogue to follow, so that whoever bought sees it at once. No
 * longer: a product that somebody keeps locked must not hold up a checkout.
 */
const STOCK_WAIT = 200;

/** ms that the list of what runs out is good for: making it reads the whole catalogue. */
const LOW_STOCK_GOOD_FOR = 5_000;

const stockChanged = Compile(Obj({ levels: Type.Array(StockLevel) }));
const productsChanged = Compile(ProductsChanged);

export default defineService(productsContract)({
  mixins: [sql("products", { models: defineModels, migrations })],

  state() {
    const { db, models, broker, logger } = this;
    const config = configOf(broker);
    const catalogue: Catalogue = { db, models, currency: config.CURRENCY };
    const cache = new CatalogueCache(broker);
    const self: Origin = { broker, name: "products" };
    const changed = (ids: number[]) => cache.changed(ids);
    const failed = (task: string) => (error: unknown, retryIn: number) => {
      const level = retryIn < PATIENCE ? "debug" : "warn";
      logger[level](`${task} failed`, { error: String(error), retryIn });
    };
    const readFeed = () =>
      repeat({
        work: () => readStockFeed(db, self, changed),
        every: FEED_EVERY,
        failed: failed("Reading inventory's feed"),
      });
    const seed = () =>
      repeat({
        work: () => loadDemoCatalogue(catalogue, self, () => cache.changed()),
        failed: failed("Loading the demo catalogue"),
      });
    const stops: (() => Promise<void>)[] = [];
    return {
      catalogue,
      cache,
      lowStock: goodFor(LOW_STOCK_GOOD_FOR, () => lowStock(db, config.LOW_STOCK_THRESHOLD)),
      stock: new StockQueue({
        db,
        changed,
        failed: (error) => logger.warn("Could not take levels over", { error: String(error) }),
      }),
      background: config.SEED === "demo" ? [readFeed, seed] : [readFeed],
      stops,
    };
  },

  actions: {
    async list(ctx) {
      return await this.cache.read("products.list:**", () => listProducts(this.db, ctx.params));
    },

    async get(ctx) {
      const { id } = ctx.params;
      return await this.cache.read(`products.get:${id}`, () => existing(this.db, id));
    },

    async create(ctx) {
      const product = await createProduct(this.catalogue, ctx.params, (product_id, on_hand) =>
        call(ctx, "inventory.set", { product_id, on_hand }),
      );
      await this.cache.changed([product.id]);
      return product;
    },

    async update(ctx) {
      const { id, ...changes } = ctx.params;
      const product = await updateProduct(this.catalogue, id, changes);
      await this.cache.changed([id]);
      return product;
    },

    async remove(ctx) {
      await withdrawProduct(this.catalogue, ctx.params.id);
      await this.cache.changed([ctx.params.id]);
      return null;
    },

    async setStock(ctx) {
      const { id, quantity } = ctx.params;
      await existing(this.db, id);
      const level = await call(ctx, "inventory.set", { product_id: id, on_hand: quantity });
      const product = await takeLevel(this.db, level);
      await this.cache.changed([id]);
      return product;
    },

    async changeStock(ctx) {
      const { id, change } = ctx.params;
      await existing(this.db, id);
      const level = await call(ctx, "inventory.adjust", { product_id: id, change });
      const product = await takeLevel(this.db, level);
      await this.cache.changed([id]);
      return product;
    },

    async import(ctx) {
      const importer = new Importer(ctx.params.media_type, {
        catalogue: this.catalogue,
        caller: ctx,
        changed: () => this.cache.changed(),
        logFailure: (error) => this.logger.warn("An import could not set stock", { error: String(error) }),
      });
      return await importer.run(ctx.stream);
    },

    async categories() {
      return await this.cache.read("products.categories", async () => ({
        categories: await categoryTree(this.db),
      }));
    },

    async createCategory(ctx) {
      const category = await createCategory(this.catalogue, ctx.params);
      await this.cache.changed();
      return category;
    },

    async updateCategory(ctx) {
      const { id, ...changes } = ctx.params;
      const category = await updateCategory(this.catalogue, id, changes);
      await this.cache.changed();
      return category;
    },

    async removeCategory(ctx) {
      await removeCategory(this.catalogue, ctx.params.id);
      await this.cache.changed();
      return null;
    },

    async lowStock() {
      return await this.lowStock();
    },

    async quote(ctx) {
      return await quotesOf(this.catalogue, ctx.params.ids);
    },

    async count() {
      return await this.models.main.count();
    },
  },

  events: {
    async "stock.changed"(ctx) {
      if (stockChanged.Check(ctx.params)) await atMost(STOCK_WAIT, this.stock.add(ctx.params.levels));
    },
    async [PRODUCTS_CHANGED](ctx) {
      if (productsChanged.Check(ctx.params)) await this.cache.forget(ctx.params.ids);
    },
  },

  started() {
    this.stops.push(...this.background.map((begin) => begin()));
  },

  async stopped() {
    await Promise.all(this.stops.map((stop) => stop()));
    await this.stock.idle();
  },
});
