import type { Database } from "../../lib/stores/database.ts";
import type { LowStock } from "./products.contract.ts";

const SHOWN = 50;
/** ms that an answer is good for: it reads the whole catalogue. */
const FRESH = 5_000;

/** Which products run out, by the catalogue's own view of the stock, and not more often asked than it changes. */
export class LowStockFigures {
  readonly #db: Database;
  readonly #threshold: number;
  #last: { at: number; answer: Promise<LowStock> } | undefined;

  /** @param threshold how many are few */
  constructor(db: Database, threshold: number) {
    this.#db = db;
    this.#threshold = threshold;
  }

  read(): Promise<LowStock> {
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at >= FRESH) {
      const answer = this.#ask();
      this.#last = { at: now, answer };
      // A failure is this caller's; the next one asks again.
      answer.catch(() => {
        this.#last = undefined;
      });
    }
    return this.#last.answer;
  }

  async #ask(): Promise<LowStock> {
    const rows = await this.#db.rows<LowStock["products"][number] & { total: number }>(
      `SELECT id, sku, name, stock_quantity AS available, (count(*) OVER ())::integer AS total
       FROM products.products WHERE withdrawn_at IS NULL AND stock_quantity <= $1
       ORDER BY stock_quantity, id LIMIT $2`,
      [this.#threshold, SHOWN],
    );
    return {
      threshold: this.#threshold,
      count: rows[0]?.total ?? 0,
      products: rows.map(({ total, ...product }) => product),
    };
  }
}
