/** Each bucket is this much wider than the one before: a percentile is right to 10 %. */
const GROWTH = 1.1;
/** ms at the end of the first bucket. */
const FIRST = 0.05;
const BUCKETS = 150;
const SCALE = 1 / Math.log(GROWTH);

/** Latencies as `[bucket, count]`, the empty buckets left out: what nodes send each other to be added up. */
export type BucketCounts = [bucket: number, count: number][];

/** The latencies of the last one to two periods, in buckets: as cheap for a million of them as for ten. */
export class LatencyWindow {
  #current = new Uint32Array(BUCKETS);
  #last = new Uint32Array(BUCKETS);

  /** @param ms from 0 */
  add(ms: number): void {
    const bucket = ms <= FIRST ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / FIRST) * SCALE));
    this.#current[bucket] = (this.#current[bucket] ?? 0) + 1;
  }

  /** Ends a period, and forgets the one before. */
  turn(): void {
    [this.#last, this.#current] = [this.#current, this.#last.fill(0)];
  }

  counts(): BucketCounts {
    const counts: BucketCounts = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = (this.#current[bucket] ?? 0) + (this.#last[bucket] ?? 0);
      if (count > 0) counts.push([bucket, count]);
    }
    return counts;
  }
}

/** ms that a share `p` (0 to 1) of the latencies did not exceed; null if there are none. */
export function percentile(windows: readonly BucketCounts[], p: number): number | null {
  const counts = windows.flat().sort(([a], [b]) => a - b);
  let left = Math.ceil(counts.reduce((sum, [, count]) => sum + count, 0) * p);
  for (const [bucket, count] of counts) {
    left -= count;
    if (left <= 0) return Math.round(FIRST * GROWTH ** bucket * 100) / 100;
  }
  return null;
}
