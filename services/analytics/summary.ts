import { type MinorUnits, toDecimal } from "../../lib/money.ts";
import type { Summary } from "./analytics.contract.ts";
import type { AnalyticsDocument, OrderDocument } from "./analytics.model.ts";
import type { Period } from "./period.ts";

const TOP_PRODUCTS = 10;

interface ProductFigures {
  product_id: number;
  name: string;
  quantity: number;
  revenue: MinorUnits;
}

/**
 * Folds documents into the figures of a period, one by one. It keeps sums, and of people and orders only who they are,
 * so its memory grows with the visitors of a period and not with what they did.
 *
 * Revenue is what was confirmed less what went back, each when it happened. A cancelled order takes nothing away by
 * itself: if it had been paid, its refund is told of by `payment.refunded`.
 */
export class SummaryFold {
  readonly #currency: string;
  #gross: MinorUnits = 0;
  #refunded: MinorUnits = 0;
  #cancelled = 0;
  readonly #visitors = new Set<string>();
  readonly #carts = new Set<string>();
  readonly #placed = new Set<string>();
  readonly #paid = new Set<string>();
  readonly #products = new Map<number, ProductFigures>();
  readonly #days = new Map<string, { orders: number; revenue: MinorUnits }>();

  /** @param currency the shop's: orders in another are left out, since amounts of both can't be added up */
  constructor(currency: string) {
    this.#currency = currency;
  }

  /** Takes a day's next document; the days come in order. */
  add(day: string, document: AnalyticsDocument): void {
    if ("currency" in document && document.currency !== this.#currency) return;
    switch (document.kind) {
      case "visit":
        this.#visitors.add(document.visitor);
        break;
      case "cart":
        this.#carts.add(document.visitor);
        break;
      case "order.placed":
        this.#placed.add(document.order_id);
        break;
      case "order.confirmed":
        this.#confirmed(day, document);
        break;
      case "order.cancelled":
        this.#cancelled += 1;
        break;
      case "payment.refunded":
        this.#refunded += document.amount;
        this.#dayOf(day).revenue -= document.amount;
        break;
      case "order.refunded":
      case "other":
        break;
    }
  }

  #confirmed(day: string, order: OrderDocument): void {
    // An order that is paid at once is confirmed without having waited as placed.
    this.#placed.add(order.order_id);
    this.#paid.add(order.order_id);
    const figures = this.#dayOf(day);
    figures.orders += 1;
    figures.revenue += order.total;
    this.#gross += order.total;
    for (const { product_id, name, quantity, unit_price } of order.items) {
      const product = this.#products.get(product_id) ?? { product_id, name, quantity: 0, revenue: 0 };
      product.quantity += quantity;
      product.revenue += quantity * unit_price;
      this.#products.set(product_id, product);
    }
  }

  #dayOf(day: string) {
    const figures = this.#days.get(day) ?? { orders: 0, revenue: 0 };
    this.#days.set(day, figures);
    return figures;
  }

  /** @param days each day of the period, also those on which nothing happened */
  result({ from, to }: Period, days: readonly string[]): Summary {
    const paid = this.#paid.size;
    const visits = this.#visitors.size;
    return {
      from: from.toISOString(),
      to: to.toISOString(),
      currency: this.#currency,
      revenue: toDecimal(this.#gross - this.#refunded),
      gross_revenue: toDecimal(this.#gross),
      refunded: toDecimal(this.#refunded),
      orders: paid,
      cancelled_orders: this.#cancelled,
      average_order: paid === 0 ? 0 : toDecimal(Math.round(this.#gross / paid)),
      conversion: {
        visits,
        carts: this.#carts.size,
        orders: this.#placed.size,
        paid,
        // Who buys without ever telling of a visit makes no more than everybody.
        rate: visits === 0 ? 0 : Math.min(1, Math.round((paid / visits) * 10_000) / 10_000),
      },
      top_products: this.#topProducts(),
      by_day: days.map((day) => {
        const { orders, revenue } = this.#days.get(day) ?? { orders: 0, revenue: 0 };
        return { day, orders, revenue: toDecimal(revenue) };
      }),
    };
  }

  #topProducts(): Summary["top_products"] {
    return [...this.#products.values()]
      .sort((a, b) => b.revenue - a.revenue || a.product_id - b.product_id)
      .slice(0, TOP_PRODUCTS)
      .map((product) => ({ ...product, revenue: toDecimal(product.revenue) }));
  }
}
