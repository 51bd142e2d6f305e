import { NotFound, SkuTaken, ValidationFailed } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { toMinor } from "../../lib/money.ts";
import { type Database, isUniqueViolation, sqlState } from "../../lib/stores/database.ts";
import type { StockLevel } from "../inventory/inventory.contract.ts";
import { categoryIdOf } from "./category-names.ts";
import { findProduct } from "./product.ts";
import type { Product, ProductChanges, ProductInput, Quote } from "./products.contract.ts";
import type { Models } from "./products.model.ts";
import { applyLevels } from "./stock.ts";

/** What the functions of this domain work with. */
export interface Catalogue {
  readonly db: Database;
  readonly models: Models;
  /** Of products that name none. */
  readonly currency: string;
}

const FOREIGN_KEY_VIOLATION = "23503";

/**
 * Adds a product. With stock, inventory is told first, under an id that nobody knows yet: the product appears in one
 * statement with its stock or not at all, and needs no hidden state that a crash could leave behind. What a crash can
 * leave is a level of an id that never comes into use.
 *
 * @param setStock tells inventory how many are on hand; what it throws is thrown on, and no product was added
 * @throws SkuTaken, ValidationFailed
 */
export async function createProduct(
  catalogue: Catalogue,
  input: ProductInput,
  setStock: (product_id: number, on_hand: number) => Promise<StockLevel>,
): Promise<Product> {
  const { db } = catalogue;
  const category_id = await categoryIdOf(db, input);
  if (input.sku !== undefined) await assertSkuFree(db, input.sku);
  const id = await nextId(db);
  const level = input.stock_quantity ? await setStock(id, input.stock_quantity) : undefined;
  try {
    await catalogue.models.main.create({
      id,
      sku: input.sku ?? newSku(),
      name: input.name,
      price: toMinor(input.price),
      currency: input.currency ?? catalogue.currency,
      ...(input.description === undefined ? {} : { description: input.description }),
      ...(input.images === undefined ? {} : { images: input.images }),
      ...(category_id === undefined ? {} : { category_id }),
      ...(level === undefined ? {} : { stock_quantity: level.available, stock_version: level.version }),
    });
  } catch (error) {
    const refusal = refusalOf(error, input);
    // Only where it is certain that there is no product; at worst the level of an unused id stays.
    if (refusal && level) await setStock(id, 0).catch(() => undefined);
    throw refusal ?? error;
  }
  return await existing(db, id);
}

/** Changes what is given of a product. @throws NotFound, SkuTaken, ValidationFailed */
export async function updateProduct(
  { db, models }: Catalogue,
  id: number,
  changes: ProductChanges,
): Promise<Product> {
  const category_id = await categoryIdOf(db, changes);
  const { category: _name, price, ...fields } = changes;
  try {
    await models.main.update(
      {
        ...fields,
        ...(price === undefined ? {} : { price: toMinor(price) }),
        ...(category_id === undefined ? {} : { category_id }),
        updated_at: db.sequelize.fn("now"),
      },
      { where: { id, withdrawn_at: null } },
    );
  } catch (error) {
    throw refusalOf(error, changes) ?? error;
  }
  return await existing(db, id);
}

/** Takes a product off the shelves for good; orders keep their own copies. @throws NotFound */
export async function withdrawProduct({ db, models }: Catalogue, id: number): Promise<void> {
  const [count] = await models.main.update(
    { withdrawn_at: db.sequelize.fn("now") },
    { where: { id, withdrawn_at: null } },
  );
  if (count === 0) throw new NotFound({ what: "product", id });
}

/** The product. @throws NotFound if there is none or it is withdrawn */
export async function existing(db: Database, id: number): Promise<Product> {
  const product = await findProduct(db, id);
  if (!product) throw new NotFound({ what: "product", id });
  return product;
}

/** Takes a level over that inventory has just answered. @returns its product, with that stock; @throws NotFound */
export async function takeLevel(db: Database, level: StockLevel): Promise<Product> {
  await applyLevels(db, [level]);
  return { ...(await existing(db, level.product_id)), stock_quantity: level.available };
}

/**
 * Names and prices (minor units) of those of these products that are sold, by id. An order has one currency, the
 * shop's: what is priced in another one can't be sold for as many of these.
 */
export async function quotesOf({ db, currency }: Catalogue, ids: readonly number[]): Promise<Quote[]> {
  return await db.rows<Quote>(
    `SELECT id AS product_id, sku, name, price AS unit_price, currency FROM products.products
     WHERE id = ANY ($1::int[]) AND withdrawn_at IS NULL AND currency = $2 ORDER BY id`,
    [ids, currency],
  );
}

async function nextId(db: Database): Promise<number> {
  const row = await db.one<{ id: number }>(
    "SELECT nextval(pg_get_serial_sequence('products.products', 'id'))::int AS id",
  );
  if (!row) throw new Error("The sequence of product ids gave none.");
  return row.id;
}

/** For a product that was given none; its random part is as good as unique. */
function newSku(): string {
  return `P-${newId().slice(-12).toUpperCase()}`;
}

async function assertSkuFree(db: Database, sku: string): Promise<void> {
  const taken = await db.one(
    "SELECT FROM products.products WHERE lower(sku) = lower($1) AND withdrawn_at IS NULL",
    [sku],
  );
  if (taken) throw new SkuTaken({ sku });
}

/** What a client is told for a broken constraint: the SKU was taken, or the category removed, a moment ago. */
function refusalOf(error: unknown, { sku }: { sku?: string }) {
  if (sku !== undefined && isUniqueViolation(error, "products_sku_key")) return new SkuTaken({ sku });
  if (sqlState(error) !== FOREIGN_KEY_VIOLATION) return undefined;
  return new ValidationFailed({ violations: [{ path: "/category_id", message: "names no category" }] });
}
