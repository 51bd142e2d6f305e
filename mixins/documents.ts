import { join } from "node:path";
import { addCheck } from "../lib/health.ts";
import { DbService } from "../lib/moleculer-db.ts";
import { configOf } from "../lib/runtime.ts";
import type { Mixin } from "../lib/service.ts";
import { Documents } from "../lib/stores/documents.ts";
import { NO_ACTIONS } from "./no-actions.ts";

export interface DocumentsThis<D extends { _id: string }> {
  readonly documents: Documents<D>;
}

interface DocumentsOptions {
  /** Fields that queries select or sort by. */
  indexes: readonly string[];
}

/** A collection of documents, through moleculer-db: NeDB on a file under `DATA_DIR`, in memory in the tests. */
export function documents<D extends { _id: string }>(
  name: string,
  options: DocumentsOptions,
): Mixin<DocumentsThis<D>> {
  return {
    build(broker) {
      const config = configOf(broker);
      const file =
        config.NODE_ENV === "test" ? {} : { filename: join(config.DATA_DIR, "documents", `${name}.db`) };
      const adapter = new DbService.MemoryAdapter<D>({ ...file, autoload: false });
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
          addCheck(broker, name, "documents", () => own.get("-"));
        },
        async started() {
          for (const fieldName of options.indexes) await adapter.db.ensureIndex({ fieldName });
        },
      };
    },
  };
}
