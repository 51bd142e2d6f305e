import type { DocumentAdapter, DocumentQuery, FindOptions } from "../moleculer-db.ts";

/** A collection of documents whose `_id` we choose, so that writing one twice is refused by the store. */
export class Documents<D extends { _id: string }> {
  readonly #adapter: DocumentAdapter<D>;
  constructor(adapter: DocumentAdapter<D>) {
    this.#adapter = adapter;
  }

  find(options: FindOptions): Promise<D[]> {
    return this.#adapter.find(options);
  }

  count(query: DocumentQuery): Promise<number> {
    return this.#adapter.count({ query });
  }

  async get(id: string): Promise<D | null> {
    return (await this.#adapter.findById(id)) ?? null;
  }

  /** Writes a document unless its `_id` is there already. @returns whether it was written now */
  async insertOnce(document: D): Promise<boolean> {
    try {
      await this.#adapter.insert(document);
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  /**
   * Sets fields of the documents that match, each in one step: a condition on the old value decides races.
   * @param without fields that are taken away
   * @returns how many were changed
   */
  setWhere(query: DocumentQuery, fields: Partial<D>, without: readonly string[] = []): Promise<number> {
    const $unset = Object.fromEntries(without.map((field) => [field, true as const]));
    return this.#adapter.updateMany(query, { $set: fields, ...(without.length > 0 ? { $unset } : {}) });
  }

  removeMany(query: DocumentQuery): Promise<number> {
    return this.#adapter.removeMany(query);
  }
}

/** NeDB says `uniqueViolated`, MongoDB 11000. */
function isDuplicate(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  if ("errorType" in error && error.errorType === "uniqueViolated") return true;
  return "code" in error && error.code === 11000;
}
