import { ValidationFailed } from "../../lib/errors.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";

/** How a request names a category: by id, by name or slug, by both alike, or (null) none at all. */
export interface CategoryReference {
  category_id?: number | null;
  category?: string;
}

/** A reference that means no one category. `path` is the field that is wrong. */
interface Unclear {
  path: "/category" | "/category_id";
  message: string;
}
/** undefined: the reference says nothing. */
export type ResolvedCategory = { category_id: number | null | undefined } | Unclear;

/**
 * Finds which categories these references mean, in their order. A slug goes before a name; case, accents and
 * punctuation of a name don't matter.
 * @param tx keeps the categories from being removed until it ends
 */
export async function resolveCategories(
  db: Database,
  references: readonly CategoryReference[],
  tx?: Tx,
): Promise<ResolvedCategory[]> {
  const names = references.flatMap(({ category }) => (category === undefined ? [] : [category]));
  const ids = references.flatMap(({ category_id }) => (typeof category_id === "number" ? [category_id] : []));
  if (names.length === 0 && ids.length === 0) {
    return references.map(({ category_id }) => ({ category_id }));
  }
  const rows = await db.rows<{ id: number; name: string | null; by_slug: boolean }>(
    `SELECT category.id, asked.name, category.slug = lower(asked.name) AS by_slug
     FROM products.categories AS category
     LEFT JOIN (SELECT DISTINCT unnest($1::text[]) AS name) AS asked
       ON category.slug = lower(asked.name) OR category.name_words = nullif(products.words(asked.name), '')
     WHERE asked.name IS NOT NULL OR category.id = ANY ($2::int[])
     ${tx ? "ORDER BY category.id FOR KEY SHARE OF category" : ""}`,
    [names, ids],
    tx,
  );
  const known = new Set(rows.map(({ id }) => id));
  const named = Map.groupBy(rows, ({ name }) => name);
  return references.map((reference) => resolve(reference, known, named));
}

function resolve(
  { category_id, category }: CategoryReference,
  known: ReadonlySet<number>,
  named: ReadonlyMap<string | null, { id: number; by_slug: boolean }[]>,
): ResolvedCategory {
  if (typeof category_id === "number" && !known.has(category_id)) {
    return { path: "/category_id", message: "names no category" };
  }
  if (category === undefined) return { category_id };
  const matches = named.get(category) ?? [];
  const bySlug = matches.find(({ by_slug }) => by_slug);
  const meant = bySlug ? [bySlug] : matches;
  const [only, another] = meant;
  if (!only) return { path: "/category", message: "names no category" };
  if (category_id !== undefined) {
    return meant.some(({ id }) => id === category_id)
      ? { category_id }
      : { path: "/category", message: "is another category than category_id" };
  }
  if (another) return { path: "/category", message: "names several categories: give category_id or a slug" };
  return { category_id: only.id };
}

/**
 * The category that a request names; null for none, undefined if it doesn't say.
 * @throws ValidationFailed
 */
export async function categoryIdOf(
  db: Database,
  reference: CategoryReference,
): Promise<number | null | undefined> {
  const [resolved] = await resolveCategories(db, [reference]);
  if (resolved && "path" in resolved) throw new ValidationFailed({ violations: [resolved] });
  return resolved?.category_id;
}
