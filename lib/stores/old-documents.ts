import { repeat } from "../repeat.ts";
import type { Documents } from "./documents.ts";

const DAY = 86_400_000;
/** ms that a look covers at first, and longer where it finds little: NeDB collects all that a query covers, be it for a few. */
const STEP = DAY;
/** Documents removed by one command: a store is not held up for long. */
const BATCH = 500;
/** ms between two looks. */
const LOOK_EVERY = 3_600_000;

/**
 * Removes the documents of a collection that are past their time, some hundred at a time, the oldest first. Any number of
 * nodes may do so at once.
 */
export class OldDocuments<K extends string, D extends { _id: string } & Record<K, string>> {
  readonly #documents: Documents<D>;
  readonly #field: K;
  readonly #among: object;
  /** All before was looked through: what stays is not gone over each time. */
  #from = "";

  /**
   * @param field an indexed one: a document's time, as ISO 8601 in UTC
   * @param among a condition on those that may be removed at all
   */
  constructor(documents: Documents<D>, field: K, among: object = {}) {
    this.#documents = documents;
    this.#field = field;
    this.#among = among;
  }

  /** Removes, now and every hour, what is older than so many days. @returns ends it */
  removeAfter(days: number, failed: (error: unknown) => void): () => Promise<void> {
    return repeat({
      work: (stop) => this.remove(Date.now() - days * DAY, stop),
      every: LOOK_EVERY,
      failed,
    });
  }

  /** @param before ms since 1970 @param stop ends it between two commands */
  async remove(before: number, stop?: AbortSignal): Promise<void> {
    const end = new Date(before).toISOString();
    const query = this.#between(this.#from, end);
    const [oldest] = await this.#documents.find({ query, sort: [this.#field], limit: 1 });
    let step = STEP;
    for (let from = oldest?.[this.#field] ?? end; from < end; ) {
      if (stop?.aborted) return;
      const to = new Date(Math.min(Date.parse(from) + step, before)).toISOString();
      const removed = await this.#removeSome(from, to);
      step = removed < BATCH ? step * 2 : STEP;
      if (removed < BATCH) from = to;
    }
    this.#from = end;
  }

  /** @returns how many: fewer than a batch were all */
  async #removeSome(from: string, to: string): Promise<number> {
    const some = await this.#documents.find({ query: this.#between(from, to), limit: BATCH });
    if (some.length > 0) await this.#documents.removeMany({ _id: { $in: some.map(({ _id }) => _id) } });
    return some.length;
  }

  #between(from: string, to: string) {
    // NeDB goes by the index of the last field named here.
    return { ...this.#among, [this.#field]: { $gte: from, $lt: to } };
  }
}
