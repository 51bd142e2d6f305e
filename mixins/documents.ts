import { join } from "node:path";
import type { Config } from "../lib/config.ts";
import { addCheck } from "../lib/health.ts";
import { DbService, type DocumentAdapter, type NedbAdapter } from "../lib/moleculer-db.ts";
import { configOf } from "../lib/runtime.ts";
import type { Mixin } from "../lib/service.ts";
import { Documents } from "../lib/stores/documents.ts";
import { gatheredInserts } from "../lib/stores/gathered-inserts.ts";
import { mongoAdapter } from "../lib/stores/mongo-adapter.ts";
import { onOneLine } from "../lib/stores/one-line.ts";
import { NO_ACTIONS } from "./no-actions.ts";

export interface DocumentsThis<D extends { _id: string }> {
  readonly documents: Documents<D>;
}

interface DocumentsOptions {
  /** Fields that queries select or sort by. */
  indexes: readonly string[];
}

/**
 * A collection of documents, through moleculer-db: MongoDB where `MONGO_URL` is set, else NeDB on a file under
 * `DATA_DIR` (in memory in the tests).
 */
export function documents<D extends { _id: string }>(
  name: string,
  { indexes }: DocumentsOptions,
): Mixin<DocumentsThis<D>> {
  return {
    build(broker) {
      const { adapter, prepare } = storeOf<D>(configOf(broker), name, indexes);
      return {
        mixins: [DbService],
        actions: NO_ACTIONS,
        // Set after Moleculer has merged the mixins, because merging deep-clones what it finds.
        merged(schema: { adapter?: unknown }) {
          schema.adapter = adapter;
        },
        created() {
          const own = new Documents<D>(adapter);
          Object.assign(this, { documents: own });
          const server = configOf(broker).MONGO_URL === "" ? "files" : "mongodb";
          addCheck(broker, name, "documents", server, () => own.get("-"));
        },
        async started() {
          await prepare();
        },
      };
    },
  };
}

const FILE_OPTIONS = {
  // Mails have names, addresses and codes that set a password: for the shop alone.
  modes: { fileMode: 0o600, dirMode: 0o700 },
  afterSerialization: onOneLine,
  // JSON reads the escaped letters by itself.
  beforeDeserialization: (line: string) => line,
};

/** Where the documents are: the one place that chooses. */
function storeOf<D extends { _id: string }>(
  { MONGO_URL: url, DATABASE_POOL: pool, NODE_ENV, DATA_DIR }: Config,
  name: string,
  indexes: readonly string[],
): { adapter: DocumentAdapter<D>; prepare: () => Promise<void> } {
  if (url !== "") {
    return { adapter: mongoAdapter<D>({ url, collection: name, indexes, pool }), prepare: async () => {} };
  }
  const file =
    NODE_ENV === "test" ? {} : { filename: join(DATA_DIR, "documents", `${name}.db`), ...FILE_OPTIONS };
  const adapter = new DbService.MemoryAdapter<D>({ ...file, autoload: false });
  adapter.insert = gatheredInserts((documents) => adapter.insertMany(documents));
  // The adapter's own goes a way that node warns of, at each call, on the standard error of whoever runs the shop.
  adapter.updateMany = async (query, update) =>
    (await adapter.db.updateAsync(query, update, { multi: true })).numAffected;
  return { adapter, prepare: () => prepareIndexes(adapter.db, indexes) };
}

/**
 * Sparse: else all documents that lack a field are one entry of its index, and whoever changes or removes one of them has
 * NeDB copy the list of all of them. An older version's file has other indexes, which NeDB takes from it.
 */
async function prepareIndexes<D>(db: NedbAdapter<D>["db"], indexes: readonly string[]): Promise<void> {
  for (const [fieldName, { sparse }] of Object.entries(db.indexes))
    if (fieldName !== "_id" && !(sparse && indexes.includes(fieldName))) await db.removeIndex(fieldName);
  for (const fieldName of indexes) await db.ensureIndex({ fieldName, sparse: true });
}
