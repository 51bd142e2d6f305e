import { toDecimal } from "../../lib/money.ts";
import type { Database } from "../../lib/stores/database.ts";
import type { Product } from "./products.contract.ts";

/** A product as the statements below read it; `price` in minor units. */
export interface ProductRow {
  id: number;
  sku: string;
  name: string;
  description: string;
  price: number;
  currency: string;
  category: string | null;
  category_id: number | null;
  stock_quantity: number;
  images: string[];
  created_at: Date;
  updated_at: Date;
}

/** The columns of {@link ProductRow}, of `products.products AS product` and `products.categories AS category`. */
export const PRODUCT_COLUMNS = `product.id, product.sku, product.name, product.description, product.price,
  product.currency, category.name AS category, product.category_id, product.stock_quantity, product.images,
  product.created_at, product.updated_at`;

/** A row as clients see it: the price as a decimal, times as ISO strings. */
export function productOf(row: ProductRow): Product {
  return {
    id: row.id,
    sku: row.sku,
    name: row.name,
    description: row.description,
    price: toDecimal(row.price),
    currency: row.currency,
    category: row.category,
    category_id: row.category_id,
    stock_quantity: row.stock_quantity,
    images: row.images,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** The product, unless there is none or it is withdrawn. */
export async function findProduct(db: Database, id: number): Promise<Product | undefined> {
  const row = await db.one<ProductRow>(
    `SELECT ${PRODUCT_COLUMNS}
     FROM products.products AS product LEFT JOIN products.categories AS category ON category.id = product.category_id
     WHERE product.id = $1 AND product.withdrawn_at IS NULL`,
    [id],
  );
  return row && productOf(row);
}
