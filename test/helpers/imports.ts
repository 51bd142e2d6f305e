import { newId } from "../../lib/ids.ts";
import { send } from "./client.ts";
import { runSql } from "./inventory.ts";
import type { Shop } from "./shop.ts";

export const NDJSON = "application/x-ndjson";
export const CSV = "text/csv";

export const linesOf = (...lines: object[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join("");
/** A start of SKUs that no other test has. */
export const newMark = () => `I${newId().replaceAll("-", "")}-`;

interface Row {
  sku: string;
  name: string;
  price: number;
  stock_quantity: number;
}

/** An admin's imports, and what has come of them; the shop may be started later. */
export function importsOf(importer: () => { shop: Shop; admin: string }) {
  return {
    upload: (body: string, type = NDJSON) => {
      const { shop, admin } = importer();
      const headers = { "content-type": type };
      return send(shop, "POST", "/api/products/import", body, { token: admin, headers });
    },
    /** What the shop has of SKUs with that start, by SKU. */
    kept: (mark: string) =>
      runSql<Row>(
        importer().shop,
        "SELECT sku, name, price, stock_quantity FROM products.products WHERE starts_with(sku, $1) AND withdrawn_at IS NULL ORDER BY sku",
        [mark],
      ),
  };
}
