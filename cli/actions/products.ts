import { Product, productsContract } from "../../services/products/products.contract.ts";
import type { Client, RequestOptions } from "../lib/client.ts";
import { CliError, EXIT, Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { ChangeOptions, CommonOptions } from "../lib/options.ts";
import { clip, money, plural, table } from "../lib/output.ts";
import { allRows, type PageOptions, pageLine } from "../lib/pages.ts";
import { type Format, lineOf } from "../lib/rows.ts";
import { openShop, withSession } from "../lib/session.ts";

export interface ListOptions extends CommonOptions, PageOptions {
  search?: string;
  category?: string;
  inStock?: boolean;
  sort?: string;
}
export interface SetOptions extends ChangeOptions {
  name?: string;
  price?: number;
  description?: string;
  category?: string;
  sku?: string;
}
export interface ExportOptions extends CommonOptions {
  format: Format;
  search?: string;
  category?: string;
}
export interface ImportOptions extends ChangeOptions {
  format?: Format;
}

export const ProductPage = productsContract.actions.list.result;
const NAME_WIDTH = 36;

/** What an import takes back. */
export const COLUMNS = [
  "sku",
  "name",
  "price",
  "currency",
  "category_id",
  "description",
  "images",
  "stock_quantity",
] as const;

/** @returns the exit code */
export async function listProducts(options: ListOptions, io: Io): Promise<number> {
  const client = await openShop(options, io);
  const { search, category, inStock, sort, page, limit } = options;
  const query = { search, category, in_stock: inStock, sort, page, limit };
  const answer = await client.request("GET", "/api/products", ProductPage, { query });
  if (options.json) {
    io.printJson(answer);
    return EXIT.ok;
  }
  const rows = answer.products.map((one) => [
    one.id,
    one.sku,
    clip(one.name, NAME_WIDTH),
    money(one.price, one.currency),
    one.stock_quantity,
  ]);
  io.printRows(table(["id", "sku", "name", "price", "stock"], rows));
  io.say(pageLine("product", answer.pagination));
  return EXIT.ok;
}

/** Every product, newest first. */
export function allProducts(client: Client, signal: AbortSignal, query: RequestOptions["query"] = {}) {
  return allRows(client, "/api/products", ProductPage, {
    query,
    signal,
    rowsOf: ({ products }) => products,
    idOf: ({ id }) => id,
    pageOf: (answer) => answer,
  });
}

/** @param named its id or SKU @throws CliError if there is none */
export async function findProduct(client: Client, named: string): Promise<Product> {
  if (/^\d{1,9}$/.test(named)) return await client.request("GET", `/api/products/${named}`, Product);
  const query = { search: named, limit: 100 };
  const { products } = await client.request("GET", "/api/products", ProductPage, { query });
  const found = products.find(({ sku }) => sku.toLowerCase() === named.toLowerCase());
  if (found) return found;
  throw new CliError(`There is no product with the SKU ${named}.`, {
    next: "Look for it with `molecart products list --search`.",
  });
}

/** @returns the exit code */
export async function showProduct(named: string, options: CommonOptions, io: Io): Promise<number> {
  const product = await findProduct(await openShop(options, io), named);
  if (options.json) io.printJson(product);
  else for (const line of productLines(product)) io.print(line);
  return EXIT.ok;
}

function productLines(product: Product): string[] {
  const { images, price, currency, ...rest } = product;
  const rows = Object.entries({ ...rest, price: money(price, currency), images: images.join(" ") });
  return table(
    ["", ""],
    rows.map(([key, value]) => [key, value === null || value === "" ? "-" : value]),
  )
    .slice(1)
    .map((line) => line.trimEnd());
}

/** @returns the exit code */
export async function setProduct(named: string, options: SetOptions, io: Io): Promise<number> {
  const { name, price, description, category, sku } = options;
  const given = { name, price, description, category, sku };
  const changes = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  if (Object.keys(changes).length === 0)
    throw new Misuse("Nothing is to be changed.", "Name it: --price 19.99");
  return await withSession(options, io, async ({ client }) => {
    const before = await findProduct(client, named);
    if (options.dryRun) {
      if (options.json) io.printJson({ dry_run: true, id: before.id, changes });
      else io.print(`Would change product ${before.id} (${before.sku}): ${JSON.stringify(changes)}`);
      return EXIT.ok;
    }
    const product = await client.request("PATCH", `/api/products/${before.id}`, Product, { body: changes });
    if (options.json) io.printJson(product);
    else for (const line of productLines(product)) io.print(line);
    return EXIT.ok;
  });
}

/** Writes the catalogue to stdout in lines that an import takes. @returns the exit code */
export async function exportProducts(options: ExportOptions, io: Io): Promise<number> {
  const client = await openShop(options, io);
  const format = options.json ? "ndjson" : options.format;
  const { search, category } = options;
  let count = 0;
  if (format === "csv") await io.write(`${COLUMNS.join(",")}\n`);
  for await (const product of allProducts(client, io.signal, { search, category })) {
    const row = Object.fromEntries(COLUMNS.map((column) => [column, product[column]]));
    await io.write(lineOf(row, format, COLUMNS));
    count++;
  }
  io.say(`${plural(count, "product")} exported.`);
  return EXIT.ok;
}
