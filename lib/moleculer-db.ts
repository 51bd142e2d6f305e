import { createRequire } from "node:module";
import type { ServiceSchema } from "moleculer";

// moleculer-db's published types describe an ES module's default export that the package doesn't have, and leave its
// NeDB adapter's database out: what we use of it is typed here instead.

/** Conditions on fields, in the language that NeDB and MongoDB share. */
export type DocumentQuery = Record<string, unknown>;

export interface FindOptions {
  query?: DocumentQuery;
  /** `-created_at` for the newest first. */
  sort?: string[];
  limit?: number;
  offset?: number;
}

export interface DocumentUpdate<D> {
  $set: Partial<D>;
  $unset?: Readonly<Record<string, true>>;
}

/** What the adapters of moleculer-db (NeDB here, Mongoose in a cluster) have in common, as far as we use it. */
export interface DocumentAdapter<D> {
  find(options: FindOptions): Promise<D[]>;
  count(options: { query?: DocumentQuery }): Promise<number>;
  findById(id: string): Promise<D | null>;
  insert(document: D): Promise<D>;
  updateMany(query: DocumentQuery, update: DocumentUpdate<D>): Promise<number>;
  removeMany(query: DocumentQuery): Promise<number>;
}

export interface NedbAdapter<D> extends DocumentAdapter<D> {
  /** Writes all of them, or none. */
  insertMany(documents: D[]): Promise<unknown>;
  readonly db: {
    readonly indexes: Readonly<Record<string, { readonly sparse: boolean }>>;
    ensureIndex(options: { fieldName: string; sparse: boolean }): Promise<void>;
    removeIndex(fieldName: string): Promise<void>;
    updateAsync(
      query: DocumentQuery,
      update: DocumentUpdate<D>,
      options: { multi: boolean },
    ): Promise<{ numAffected: number }>;
  };
}

const require = createRequire(import.meta.url);

interface NedbOptions {
  filename?: string;
  /** Of the files and directories that it makes; those that are there keep theirs. */
  modes?: { fileMode: number; dirMode: number };
  /** What is written of a line, and its reverse. */
  afterSerialization?: (line: string) => string;
  beforeDeserialization?: (line: string) => string;
  autoload: boolean;
}

export const DbService: Partial<ServiceSchema> & {
  MemoryAdapter: new <D>(options: NedbOptions) => NedbAdapter<D>;
} = require("moleculer-db");
