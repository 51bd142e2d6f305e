/** How one insert ends. */
interface Waiting<D> {
  document: D;
  written: PromiseWithResolvers<D>;
}

/** Documents written by one append. */
const BATCH = 100;

/**
 * Writes a document; those that come while others are being written go together next. For NeDB, which opens, writes and
 * closes its file for each insert, be it of one document or of many.
 * @param insertMany writes all of them, or none and throws: then each is tried by itself
 */
export function gatheredInserts<D>(
  insertMany: (documents: D[]) => Promise<unknown>,
): (document: D) => Promise<D> {
  const waiting: Waiting<D>[] = [];
  let isWriting = false;

  const write = async (batch: readonly Waiting<D>[]): Promise<void> => {
    try {
      await insertMany(batch.map(({ document }) => document));
      for (const { document, written } of batch) written.resolve(document);
    } catch (error) {
      if (batch.length === 1) batch[0]?.written.reject(error);
      else for (const one of batch) await write([one]);
    }
  };
  const writeAll = async (): Promise<void> => {
    isWriting = true;
    for (let batch = waiting.splice(0, BATCH); batch.length > 0; batch = waiting.splice(0, BATCH))
      await write(batch);
    isWriting = false;
  };
  return async (document) => {
    const written = Promise.withResolvers<D>();
    waiting.push({ document, written });
    if (!isWriting) void writeAll();
    return await written.promise;
  };
}
