import { ValidationFailed } from "../../lib/errors.ts";
import { toDecimal, toMinor } from "../../lib/money.ts";
import { pageOf } from "../../lib/schema.ts";
import type { Database } from "../../lib/stores/database.ts";
import { PRODUCT_COLUMNS, type ProductRow, productOf } from "./product.ts";
import type { Facets, ListParams, ProductPage } from "./products.contract.ts";

/** Where the products come from: all that are sold, those a search found, or those a search may have meant. */
type Source = "all" | "found" | "similar";

/**
 * What a search asks for. Made once a statement, whatever its plan: put where they are used, a plan that serves all
 * searches would call these functions for each product again. `$1` is the search.
 */
const ASKED: Record<Exclude<Source, "all">, string> = {
  found: `SELECT products.search_query($1) AS words, products.whole_query($1) AS whole_words,
    products.search_query($1, 'A') AS in_name, products.search_query($1, 'AB') AS in_name_or_category`,
  similar: `SELECT meant AS words, nearest AS whole_words, nearest_in_name AS in_name, nearest AS in_name_or_category
    FROM products.similar_query($1)`,
};
const asked = (query: string) => `(SELECT ${query} FROM asked)`;

/**
 * First those with all words in the name, then with all in name and category; among them, whole words count more than
 * beginnings, and words that stand together more. (32 brings a rank below 1.) Of a search with typos: first those with
 * all words, as they are most likely meant, in the name, then somewhere, then with less likely ones.
 */
const RANK = `CASE
    WHEN product.search @@ ${asked("in_name")} THEN 2
    WHEN product.search @@ ${asked("in_name_or_category")} THEN 1
    ELSE 0
  END
  + 0.9 * coalesce(ts_rank(product.search, ${asked("whole_words")}, 32), 0)
  + 0.1 * ts_rank(product.search, ${asked("words")}, 32)`;

/** The id breaks each tie, so that pages neither repeat nor miss a product. All but `rank` have an index. */
const ORDERS = {
  newest: (of: string) => `${of}.created_at DESC, ${of}.id DESC`,
  price: (of: string) => `${of}.price, ${of}.id`,
  "-price": (of: string) => `${of}.price DESC, ${of}.id DESC`,
  name: (of: string) => `${of}.name_words, ${of}.id`,
  relevance: (of: string) => `${of}.rank DESC, ${of}.id`,
};

/** A statement's parameters in the making. */
class Bind {
  readonly values: unknown[] = [];
  /** @returns the placeholder of `value` */
  add(value: unknown): string {
    return `$${this.values.push(value)}`;
  }
}

/**
 * A page of the catalogue. A search finds products that have all its words, the last of them as far as it was typed;
 * if no product has them, products whose words look almost like them.
 * @throws ValidationFailed if the range of prices is upside down
 */
export async function listProducts(db: Database, params: ListParams): Promise<ProductPage> {
  const { min_price, max_price } = params;
  if (min_price !== undefined && max_price !== undefined && min_price > max_price) {
    const message = "must not be more than max_price";
    throw new ValidationFailed({ violations: [{ path: "/min_price", message }] });
  }
  const search = params.search?.trim() ?? "";
  if (search === "") return await pageFrom(db, "all", params);
  const found = await pageFrom(db, "found", params);
  // A filter that leaves nothing of what was found is not a typo.
  if (found.pagination.total > 0 || (await isFound(db, search))) return found;
  return await pageFrom(db, "similar", params);
}

/** Materialized: planned for the first row alone, Postgres may walk through the catalogue until it meets one. */
async function isFound(db: Database, search: string): Promise<boolean> {
  const sql = `WITH found AS MATERIALIZED (
      SELECT id FROM products.products
      WHERE search @@ (SELECT products.search_query($1)) AND withdrawn_at IS NULL)
    SELECT id FROM found LIMIT 1`;
  return (await db.one(sql, [search])) !== undefined;
}

async function pageFrom(db: Database, source: Source, params: ListParams): Promise<ProductPage> {
  const bind = new Bind();
  const hits = hitsOf(source, params, bind);
  const filters = [...bind.values];
  const order = ORDERS[orderOf(source, params)];
  const { limit, offset, pagination } = pageOf(params);
  const rows = await db.rows<ProductRow & { total: number }>(
    `${hits},
     page AS (SELECT * FROM hits ORDER BY ${order("hits")} LIMIT ${bind.add(limit)} OFFSET ${bind.add(offset)})
     SELECT ${PRODUCT_COLUMNS}, (SELECT count(*)::int FROM hits) AS total
     FROM page
     JOIN products.products AS product USING (id)
     LEFT JOIN products.categories AS category ON category.id = product.category_id
     ORDER BY ${order("page")}`,
    bind.values,
  );
  const total = rows[0]?.total ?? (offset === 0 ? 0 : await countOf(db, hits, filters));
  const facets = params.facets ? { facets: await facetsOf(db, hits, filters) } : {};
  return { products: rows.map(productOf), pagination: pagination(total), ...facets };
}

/** Without a search nothing has a rank. */
function orderOf(source: Source, { sort = "relevance" }: ListParams): keyof typeof ORDERS {
  return source === "all" && sort === "relevance" ? "newest" : sort;
}

/**
 * The statement's beginning: the common table expression `hits`, every product that passes source and filters. What a
 * search costs most, ranking, is done once; without one, the page takes the few rows it needs from an index.
 */
function hitsOf(source: Source, params: ListParams, bind: Bind): string {
  if (source !== "all") bind.add(params.search ?? "");
  const conditions = [
    "product.withdrawn_at IS NULL",
    ...(source === "all" ? [] : [`product.search @@ ${asked("words")}`]),
    ...filtersOf(params, bind),
  ];
  const before = source === "all" ? "" : `asked AS MATERIALIZED (${ASKED[source]}), `;
  return `WITH ${before}hits AS ${source === "all" ? "NOT MATERIALIZED" : "MATERIALIZED"} (
    SELECT product.id, product.category_id, product.price, product.stock_quantity, product.created_at,
      product.name_words, ${source === "all" ? "0" : RANK} AS rank
    FROM products.products AS product
    WHERE ${conditions.join(" AND ")}
  )`;
}

function filtersOf(params: ListParams, bind: Bind): string[] {
  const filters: string[] = [];
  const category = params.category?.trim() ?? "";
  if (category !== "") {
    const value = bind.add(category);
    filters.push(inBranch(`slug = lower(${value}) OR name_words = nullif(products.words(${value}), '')`));
  }
  if (params.category_id !== undefined) filters.push(inBranch(`id = ${bind.add(params.category_id)}`));
  if (params.ids !== undefined) filters.push(`product.id = ANY (${bind.add(idsOf(params.ids))}::int[])`);
  if (params.min_price !== undefined) filters.push(`product.price >= ${bind.add(toMinor(params.min_price))}`);
  if (params.max_price !== undefined) filters.push(`product.price <= ${bind.add(toMinor(params.max_price))}`);
  if (params.in_stock !== undefined) filters.push(`product.stock_quantity ${params.in_stock ? ">" : "="} 0`);
  return filters;
}

/** The product is in one of these categories or below. As an array, so that the planner goes through the index. */
function inBranch(condition: string): string {
  return `product.category_id = ANY (ARRAY(
    WITH RECURSIVE branch AS (
      SELECT id FROM products.categories WHERE ${condition}
      UNION
      SELECT child.id FROM products.categories AS child JOIN branch ON child.parent_id = branch.id
    )
    SELECT id FROM branch))`;
}

/** `1,2,99999999999` → [1, 2]: what no product can have is left out. */
function idsOf(ids: string): number[] {
  return ids
    .split(",")
    .map(Number)
    .filter((id) => id <= 2_147_483_647);
}

async function countOf(db: Database, hits: string, filters: readonly unknown[]): Promise<number> {
  const row = await db.one<{ total: number }>(`${hits} SELECT count(*)::int AS total FROM hits`, filters);
  return row?.total ?? 0;
}

async function facetsOf(db: Database, hits: string, filters: readonly unknown[]): Promise<Facets> {
  const groups = await db.rows<{
    id: number | null;
    name: string | null;
    slug: string | null;
    count: number;
    min: number;
    max: number;
    in_stock: number;
  }>(
    `${hits}
     SELECT category.id, category.name, category.slug, count(*)::int AS count,
       min(hits.price) AS min, max(hits.price) AS max,
       (count(*) FILTER (WHERE hits.stock_quantity > 0))::int AS in_stock
     FROM hits LEFT JOIN products.categories AS category ON category.id = hits.category_id
     GROUP BY category.id
     ORDER BY count(*) DESC, category.id`,
    filters,
  );
  return {
    categories: groups.flatMap(({ id, name, slug, count }) =>
      id === null || name === null || slug === null ? [] : [{ id, name, slug, count }],
    ),
    price:
      groups.length === 0
        ? null
        : {
            min: toDecimal(Math.min(...groups.map(({ min }) => min))),
            max: toDecimal(Math.max(...groups.map(({ max }) => max))),
          },
    in_stock: groups.reduce((sum, { in_stock }) => sum + in_stock, 0),
  };
}
