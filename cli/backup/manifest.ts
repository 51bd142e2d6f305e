import Type, { type Static } from "typebox";

/** The archive's own version: raised when an older molecart could misread what is in it. */
export const FORMAT = 1;
export const MANIFEST = "manifest.json";
export const DIGEST = "manifest.sha256";

/** A run of lines, in numbered parts: `sql/orders/items/00000`, `sql/orders/items/00001`, … */
export const Section = Type.Object({
  name: Type.String(),
  /** Lines, each a row. */
  rows: Type.Integer(),
  bytes: Type.Integer(),
  parts: Type.Integer(),
  /** Of all parts together, in hex. */
  sha256: Type.String(),
});
export type Section = Static<typeof Section>;

/** A table in the form of `COPY … TO STDOUT`, its section named `<where it belongs>/<table>`. */
export const Table = Type.Object({ name: Type.String(), columns: Type.Array(Type.String()) });
export type Table = Static<typeof Table>;

const Schema = Type.Object({
  name: Type.String(),
  /** Applied, oldest first. */
  migrations: Type.Array(Type.String()),
  /** What is referred to stands before what refers to it. */
  tables: Type.Array(Table),
  sequences: Type.Array(
    Type.Object({ name: Type.String(), last_value: Type.String(), is_called: Type.Boolean() }),
  ),
});
export type Schema = Static<typeof Schema>;

const Jobs = Type.Object({
  /** The schemas that share this database's queues. */
  services: Type.Array(Type.String()),
  /** Of pg-boss's schema. */
  version: Type.Integer(),
  tables: Type.Array(Table),
});
export type Jobs = Static<typeof Jobs>;

export const Manifest = Type.Object({
  format: Type.Integer(),
  molecart: Type.String(),
  mode: Type.Union([Type.Literal("embedded"), Type.Literal("cluster")]),
  /** ISO 8601: what was committed by then is in it. */
  taken_at: Type.String(),
  schemas: Type.Array(Schema),
  jobs: Type.Array(Jobs),
  has_secrets: Type.Boolean(),
  sections: Type.Array(Section),
});
export type Manifest = Static<typeof Manifest>;

export const KEY_VALUES = "key-values";
export const SECRETS = "secrets";
export const DOCUMENTS = ["notifications", "analytics"] as const;
export type DocumentCollection = (typeof DOCUMENTS)[number];

export const tableSection = (schema: string, table: string) => `sql/${schema}/${table}`;
/** @param index of the database among the manifest's jobs */
export const jobsSection = (index: number, table: string) => `jobs/${index}/${table}`;
export const documentsSection = (collection: DocumentCollection) => `documents/${collection}`;
