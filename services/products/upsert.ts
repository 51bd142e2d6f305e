import type { Database, Tx } from "../../lib/stores/database.ts";

/** A product to add or change by its SKU; `price` in minor units. What is left out stays as it is. */
export interface UpsertProduct {
  sku: string;
  name: string;
  price: number;
  description?: string;
  currency?: string;
  category_id?: number | null;
  images?: string[];
}

export interface Upserted {
  id: number;
  created: boolean;
}

/** SKUs are the same whatever their case. */
export const skuKey = (sku: string) => sku.toLowerCase();

/** Postgres's own parameters would be nine times as many: one JSON text holds them all. */
const GIVEN = `jsonb_to_recordset($1::jsonb) AS given (
  id int, sku text, name text, price int, description text, currency text, category_id int, images jsonb,
  sets_category boolean)`;

/**
 * Adds the products whose SKU nobody sells, in their order, and changes the others: three statements for however many.
 *
 * @param products one a SKU; in order of SKU if others may do the same at the same time, so that nobody waits in a circle
 * @param currency of new products that name none
 * @returns what became of each, by {@link skuKey}
 */
export async function upsertProducts(
  db: Database,
  tx: Tx,
  products: readonly UpsertProduct[],
  currency: string,
): Promise<Map<string, Upserted>> {
  const done = new Map<string, Upserted>();
  let left = products;
  // Again only where somebody else added one of these SKUs between the two looks.
  while (left.length > 0) {
    for (const { id, sku } of await lockBySku(db, tx, left)) done.set(skuKey(sku), { id, created: false });
    const known = left.flatMap((product) => {
      const found = done.get(skuKey(product.sku));
      return found ? [{ ...product, id: found.id, sets_category: product.category_id !== undefined }] : [];
    });
    await update(db, tx, known);
    const fresh = left.filter(({ sku }) => !done.has(skuKey(sku)));
    for (const { id, sku } of await insert(db, tx, fresh, currency)) {
      done.set(skuKey(sku), { id, created: true });
    }
    left = fresh.filter(({ sku }) => !done.has(skuKey(sku)));
  }
  return done;
}

interface SkuRow {
  id: number;
  sku: string;
}

async function lockBySku(db: Database, tx: Tx, products: readonly UpsertProduct[]): Promise<SkuRow[]> {
  return await db.rows<SkuRow>(
    `SELECT id, sku FROM products.products
     WHERE lower(sku) = ANY ($1::text[]) AND withdrawn_at IS NULL
     ORDER BY id FOR NO KEY UPDATE`,
    [products.map(({ sku }) => skuKey(sku))],
    tx,
  );
}

/** What is as it is wanted isn't written again: of a whole catalogue that comes each night, most is. */
async function update(
  db: Database,
  tx: Tx,
  products: readonly (UpsertProduct & { id: number })[],
): Promise<void> {
  if (products.length === 0) return;
  await db.rows(
    `UPDATE products.products AS product SET
       sku = wanted.sku,
       name = wanted.name,
       price = wanted.price,
       description = wanted.description,
       currency = wanted.currency,
       category_id = wanted.category_id,
       images = wanted.images,
       updated_at = now()
     FROM (
       SELECT given.id, given.sku, given.name, given.price,
         coalesce(given.description, known.description) AS description,
         coalesce(given.currency, known.currency) AS currency,
         CASE WHEN given.sets_category THEN given.category_id ELSE known.category_id END AS category_id,
         coalesce(given.images, known.images) AS images
       FROM ${GIVEN} JOIN products.products AS known USING (id)
     ) AS wanted
     WHERE product.id = wanted.id
       AND (product.sku, product.name, product.price, product.description, product.currency, product.category_id, product.images)
         IS DISTINCT FROM
         (wanted.sku, wanted.name, wanted.price, wanted.description, wanted.currency, wanted.category_id, wanted.images)`,
    [JSON.stringify(products)],
    tx,
  );
}

async function insert(
  db: Database,
  tx: Tx,
  products: readonly UpsertProduct[],
  currency: string,
): Promise<SkuRow[]> {
  if (products.length === 0) return [];
  return await db.rows<SkuRow>(
    `INSERT INTO products.products (sku, name, price, description, currency, category_id, images)
     SELECT sku, name, price, coalesce(description, ''), coalesce(currency, $2), category_id, coalesce(images, '[]')
     FROM ${GIVEN}
     ON CONFLICT (lower(sku)) WHERE withdrawn_at IS NULL DO NOTHING
     RETURNING id, sku`,
    [JSON.stringify(products), currency],
    tx,
  );
}
