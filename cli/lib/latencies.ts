/** Each bucket is this much wider than the one before: a percentile is right to 5 %. */
const GROWTH = 1.05;

/** Times, in buckets: as much memory for a million of them as for a hundred. */
export class Latencies {
  readonly #buckets = new Map<number, number>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @param ms above 0 */
  add(ms: number): void {
    const bucket = Math.round(Math.log(Math.max(ms, 0.01)) / Math.log(GROWTH));
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.#count++;
  }

  /** ms that the share `p` (0 to 1) of the times did not exceed; null if there are none. */
  percentile(p: number): number | null {
    let left = Math.ceil(this.#count * p);
    for (const [bucket, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return Math.round(GROWTH ** bucket * 10) / 10;
    }
    return null;
  }
}
