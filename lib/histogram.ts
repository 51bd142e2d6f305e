/** What was observed under one combination of labels. */
export class Series<L> {
  readonly labels: L;
  count = 0;
  sum = 0;
  /** How many fell into each bucket and into none before it; the last one is beyond all bounds. */
  readonly counts: number[];
  readonly #bounds: readonly number[];

  constructor(labels: L, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
  }
}

/**
 * A histogram that each call can afford: Moleculer's adds up every bucket above a value, and makes a key of all labels,
 * each time.
 */
export class Histogram<L extends Readonly<Record<string, unknown>>> {
  readonly labelNames: readonly string[];
  /** Upper bounds of the buckets, rising. */
  readonly bounds: readonly number[];
  readonly #series = new Map<string, Series<L>>();

  constructor(labelNames: readonly string[], bounds: readonly number[]) {
    this.labelNames = labelNames;
    this.bounds = bounds;
  }

  /** The series of these labels: whoever observes often keeps it. */
  series(labels: L): Series<L> {
    let key = "";
    for (const name of this.labelNames) key += `${labels[name] ?? ""}\n`;
    let series = this.#series.get(key);
    if (!series) {
      series = new Series(labels, this.bounds);
      this.#series.set(key, series);
    }
    return series;
  }

  all(): Iterable<Series<L>> {
    return this.#series.values();
  }
}
