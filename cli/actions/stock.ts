import { Product } from "../../services/products/products.contract.ts";
import { EXIT, Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { ChangeOptions, CommonOptions } from "../lib/options.ts";
import { clip, plural, table } from "../lib/output.ts";
import { type PageOptions, pageLine } from "../lib/pages.ts";
import { type Format, lineOf } from "../lib/rows.ts";
import { openShop, withSession } from "../lib/session.ts";
import { allProducts, type ExportOptions, findProduct, ProductPage } from "./products.ts";

export interface StockListOptions extends CommonOptions, PageOptions {
  search?: string;
  out?: boolean;
}
export type StockSetOptions = ChangeOptions;
export interface StockImportOptions extends ChangeOptions {
  format?: Format;
}

const COLUMNS = ["product_id", "sku", "quantity"] as const;
const NAME_WIDTH = 44;

/** @returns the exit code */
export async function listStock(options: StockListOptions, io: Io): Promise<number> {
  const client = await openShop(options, io);
  const { search, out, page, limit } = options;
  const query = { search, in_stock: out ? false : undefined, page, limit, sort: search ? undefined : "name" };
  const { products, pagination } = await client.request("GET", "/api/products", ProductPage, { query });
  if (options.json) {
    io.printJson({ stock: products.map(stockOf), pagination });
    return EXIT.ok;
  }
  const rows = products.map((one) => [one.id, one.sku, clip(one.name, NAME_WIDTH), one.stock_quantity]);
  io.printRows(table(["id", "sku", "name", "stock"], rows));
  io.say(pageLine("product", pagination));
  return EXIT.ok;
}

function stockOf({ id, sku, stock_quantity }: Product) {
  return { product_id: id, sku, quantity: stock_quantity };
}

/** @returns the exit code */
export async function showStock(named: string, options: CommonOptions, io: Io): Promise<number> {
  const product = await findProduct(await openShop(options, io), named);
  if (options.json) io.printJson(stockOf(product));
  else io.print(stockLine(product));
  return EXIT.ok;
}

const stockLine = ({ id, sku, name, stock_quantity }: Product) =>
  `${plural(stock_quantity, "piece")} of product ${id} (${sku}, ${name}) can be bought.`;

/** @param quantity `40` sets what is on hand, `+5` and `-3` change it @returns the exit code */
export async function setStock(
  named: string,
  quantity: string,
  options: StockSetOptions,
  io: Io,
): Promise<number> {
  if (!/^[+-]?\d{1,10}$/.test(quantity)) throw new Misuse(`${quantity} is no quantity like 40, +5 or -3.`);
  const isChange = /^[+-]/.test(quantity);
  return await withSession(options, io, async ({ client }) => {
    const product = await findProduct(client, named);
    if (options.dryRun) {
      const what = isChange ? `change what is on hand by ${quantity}` : `set what is on hand to ${quantity}`;
      if (options.json) io.printJson({ dry_run: true, product_id: product.id, quantity });
      else io.print(`Would ${what}: product ${product.id} (${product.sku}).`);
      return EXIT.ok;
    }
    const path = `/api/products/${product.id}/stock`;
    const after = isChange
      ? await client.request("PATCH", path, Product, { body: { change: Number(quantity) } })
      : await client.request("PUT", path, Product, { body: { quantity: Number(quantity) } });
    if (options.json) io.printJson(stockOf(after));
    else io.print(stockLine(after));
    return EXIT.ok;
  });
}

/** @returns the exit code */
export async function exportStock(options: ExportOptions, io: Io): Promise<number> {
  const client = await openShop(options, io);
  const format = options.json ? "ndjson" : options.format;
  let count = 0;
  if (format === "csv") await io.write(`${COLUMNS.join(",")}\n`);
  for await (const product of allProducts(client, io.signal, { search: options.search })) {
    await io.write(lineOf(stockOf(product), format, COLUMNS));
    count++;
  }
  io.say(`${plural(count, "product")} exported.`);
  return EXIT.ok;
}
