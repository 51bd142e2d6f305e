import type { Static, TSchema } from "typebox";
import type { Client, RequestOptions } from "./client.ts";
import { plural } from "./output.ts";
import { patiently } from "./patience.ts";

/** The most that one request may ask for. */
const LIMIT = 100;

interface Paged {
  pagination: { page: number; pages: number; total: number };
}

/** The `limit` and `page` options of a list. */
export interface PageOptions {
  limit?: number;
  page?: number;
}

/** `42 orders, page 1 of 3.` @param one what is listed: `order` */
export function pageLine(one: string, { page, pages, total }: Paged["pagination"]): string {
  return pages === 0
    ? `No ${one}s.`
    : `${plural(total, one)}, page ${page.toLocaleString("en-US")} of ${pages.toLocaleString("en-US")}.`;
}

/**
 * Every row of a list, page by page: memory is bounded by one page. What is added while it runs moves rows to later
 * pages; they are given once.
 * @param rowsOf picks the rows of an answer @param idOf tells rows apart
 */
export async function* allRows<S extends TSchema, R>(
  client: Client,
  path: string,
  result: S,
  options: {
    query?: RequestOptions["query"];
    rowsOf: (answer: Static<S>) => readonly R[];
    idOf: (row: R) => string | number;
    pageOf: (answer: Static<S>) => Paged;
    signal: AbortSignal;
  },
): AsyncGenerator<R> {
  let previous = new Set<string | number>();
  for (let page = 1; ; page++) {
    const query = { ...options.query, page, limit: LIMIT };
    const answer = await patiently(() => client.request("GET", path, result, { query }), options.signal);
    const rows = options.rowsOf(answer);
    const ids = new Set(rows.map(options.idOf));
    yield* rows.filter((row) => !previous.has(options.idOf(row)));
    previous = ids;
    if (page >= options.pageOf(answer).pagination.pages) return;
  }
}
