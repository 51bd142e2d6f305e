import { type Answer, type Json, send } from "./client.ts";
import type { Shop } from "./shop.ts";

/** The catalogue as a visitor of a shop goes through it. */

export interface Item {
  id: number;
  sku: string;
  name: string;
  description: string;
  price: number;
  category: string;
  category_id: number;
  stock_quantity: number;
}

export type Query = Record<string, string | number | boolean | undefined>;

/** The products that `GET /products` answered. */
export function itemsOf(answer: Answer): Item[] {
  const found = answer.at("products");
  if (!Array.isArray(found)) throw new Error(`There is no list of products: ${JSON.stringify(answer.body)}`);
  return found.map((product: Json) => {
    if (typeof product !== "object" || product === null || Array.isArray(product))
      throw new Error("No product.");
    const { id, sku, name, description, price, category, category_id, stock_quantity } = product;
    return {
      id: Number(id),
      sku: String(sku),
      name: String(name),
      description: String(description),
      price: Number(price),
      category: String(category),
      category_id: Number(category_id),
      stock_quantity: Number(stock_quantity),
    };
  });
}

/** The questions a visitor asks the shop, which may be started later. */
export function visitorOf(shopOf: () => Pick<Shop, "url">) {
  const list = (query: Query): Promise<Answer> => {
    const search = new URLSearchParams(JSON.parse(JSON.stringify(query)));
    return send(shopOf(), "GET", `/api/products?${search}`);
  };
  /** All pages of a list. */
  const all = async (query: Query): Promise<Item[]> => {
    const items: Item[] = [];
    for (let page = 1; ; page++) {
      const answer = await list({ limit: 100, ...query, page });
      items.push(...itemsOf(answer));
      if (page >= Number(answer.at("pagination", "pages"))) return items;
    }
  };
  const names = async (query: Query) => (await all(query)).map(({ name }) => name);
  return { list, all, names };
}
