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

/** By the value of a label, the next one's values; at the last label, the series. */
interface Branch<L> {
  values: Map<unknown, Branch<L>>;
  series?: Series<L>;
}

/**
 * A histogram that each call can afford: Moleculer's adds up every bucket above a value, and makes a key of all labels,
 * each time.
 */
export class Histogram<L extends Readonly<Record<string, unknown>>> {
  readonly labelNames: readonly string[];
  /** Upper bounds of the buckets, rising. */
  readonly bounds: readonly number[];
  readonly all: Series<L>[] = [];
  readonly #root: Branch<L> = { values: new Map() };

  constructor(labelNames: readonly string[], bounds: readonly number[]) {
    this.labelNames = labelNames;
    this.bounds = bounds;
  }

  /** The series of these labels. */
  series(labels: L): Series<L> {
    let branch = this.#root;
    for (const name of this.labelNames) {
      const value = labels[name];
      let next = branch.values.get(value);
      if (!next) {
        next = { values: new Map() };
        branch.values.set(value, next);
      }
      branch = next;
    }
    if (!branch.series) {
      branch.series = new Series(labels, this.bounds);
      this.all.push(branch.series);
    }
    return branch.series;
  }
}
