import { toDecimal, toMinor } from "../../lib/money.ts";
import { Latencies } from "../lib/latencies.ts";
import { duration, money, plural } from "../lib/output.ts";

/** What happens to synthetic customers, counted. */
const COUNTERS = [
  "visits",
  "searches",
  "views",
  "carts",
  "abandoned",
  "orders",
  "paid",
  "declined",
  "cancelled",
  "sold_out",
  "failed",
] as const;
export type Counter = (typeof COUNTERS)[number];

export type FlowReport = Record<Counter, number> & {
  count: number;
  /** Decimal, of what was paid and not cancelled. */
  revenue: number;
  currency: string;
  seconds: number;
  requests: number;
  requests_per_second: number;
  orders_per_minute: number;
  /** ms */
  request_ms: { p50: number | null; p99: number | null };
  checkout_ms: { p50: number | null; p99: number | null };
  /** How often each code answered a request that should have gone well. */
  failures: Record<string, number>;
};

/** The figures of one run. */
export class FlowFigures {
  readonly #counts = new Map<Counter, number>();
  readonly #failures = new Map<string, number>();
  readonly #requests = new Latencies();
  readonly #checkouts = new Latencies();
  readonly #started = performance.now();
  readonly #count: number;
  /** Minor units. */
  #revenue = 0;
  #currency = "";

  /** @param count of visits that are to be made */
  constructor(count: number) {
    this.#count = count;
  }

  add(counter: Counter): void {
    this.#counts.set(counter, (this.#counts.get(counter) ?? 0) + 1);
  }

  fail(code: string): void {
    this.add("failed");
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
  }

  /** @param amount decimal, negative for what was given back */
  earn(amount: number, currency: string): void {
    this.#revenue += Math.sign(amount) * toMinor(Math.abs(amount));
    this.#currency = currency;
  }

  /** Measures a request. */
  async time<T>(request: () => Promise<T>, { isCheckout = false } = {}): Promise<T> {
    const started = performance.now();
    try {
      return await request();
    } finally {
      const ms = performance.now() - started;
      this.#requests.add(ms);
      if (isCheckout) this.#checkouts.add(ms);
    }
  }

  report(): FlowReport {
    const seconds = (performance.now() - this.#started) / 1000;
    const zeros: Record<Counter, number> = {
      visits: 0,
      searches: 0,
      views: 0,
      carts: 0,
      abandoned: 0,
      orders: 0,
      paid: 0,
      declined: 0,
      cancelled: 0,
      sold_out: 0,
      failed: 0,
    };
    const rate = (count: number, per: number) =>
      Math.round((count / Math.max(seconds, 1e-3)) * per * 10) / 10;
    const counts = { ...zeros, ...Object.fromEntries(this.#counts) };
    const percentiles = (of: Latencies) => ({ p50: of.percentile(0.5), p99: of.percentile(0.99) });
    return {
      count: this.#count,
      ...counts,
      revenue: toDecimal(this.#revenue),
      currency: this.#currency,
      seconds: Math.round(seconds * 10) / 10,
      requests: this.#requests.count,
      requests_per_second: rate(this.#requests.count, 1),
      orders_per_minute: rate(counts.orders, 60),
      request_ms: percentiles(this.#requests),
      checkout_ms: percentiles(this.#checkouts),
      failures: Object.fromEntries(this.#failures),
    };
  }
}

/** The figures as lines of text. */
export function flowLines(report: FlowReport): string[] {
  const ms = ({ p50, p99 }: FlowReport["request_ms"]) =>
    p50 === null ? "none" : `p50 ${p50} ms, p99 ${p99} ms`;
  const failures = Object.entries(report.failures).map(([code, count]) => `${code} × ${count}`);
  return [
    `visits     ${report.visits} of ${report.count} in ${duration(report.seconds)}`,
    `browsing   ${plural(report.searches, "search", "searches")}, ${plural(report.views, "product")} viewed`,
    `carts      ${report.carts}, of which ${report.abandoned} abandoned`,
    `orders     ${report.orders} placed, ${report.paid} paid, ${report.cancelled} cancelled`,
    `refused    ${plural(report.declined, "card")} declined, ${report.sold_out} sold out`,
    `revenue    ${money(report.revenue, report.currency)}, ${report.orders_per_minute} orders/min`,
    `requests   ${report.requests}, ${report.requests_per_second}/s, ${ms(report.request_ms)}`,
    `checkouts  ${ms(report.checkout_ms)}`,
    `failed     ${report.failed}${failures.length > 0 ? `: ${failures.join(", ")}` : ""}`,
  ];
}
