import { CategoryCycle, CategoryInUse, NotFound, SlugTaken, ValidationFailed } from "../../lib/errors.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Category, CategoryChanges, CategoryInput } from "./products.contract.ts";

/** How deep the tree may be; a root's depth is 1. The table has the same check. */
const MAX_DEPTH = 8;
/** What is left of a name in a slug made of it; a number may follow. */
const MAX_DERIVED_SLUG = 90;

interface CategoryRow {
  id: number;
  name: string;
  slug: string;
  parent_id: number | null;
}

/** The whole tree, each level sorted by name. */
export async function categoryTree(db: Database): Promise<Category[]> {
  const rows = await db.rows<CategoryRow>(
    "SELECT id, name, slug, parent_id FROM products.categories ORDER BY name_words, id",
  );
  const byParent = Map.groupBy(rows, ({ parent_id }) => parent_id);
  const childrenOf = (parent_id: number | null): Category[] =>
    (byParent.get(parent_id) ?? []).map((row) => ({ ...row, children: childrenOf(row.id) }));
  return childrenOf(null);
}

/** Adds a category; its slug is made of its name unless given. @throws SlugTaken, ValidationFailed */
export async function createCategory(catalogue: Catalogue, input: CategoryInput): Promise<Category> {
  const { db, models } = catalogue;
  return await changeTree(db, async (tx) => {
    const { name, parent_id = null } = input;
    const depth = await depthBelow(db, tx, parent_id);
    assertDepth(depth);
    const slug = input.slug ?? (await freeSlug(db, tx, name));
    await assertSlugFree(db, tx, slug);
    const { id } = await models.categories.create(
      { name, slug, parent_id, depth },
      { transaction: tx, returning: ["id"] },
    );
    return { id, name, slug, parent_id, children: [] };
  });
}

/**
 * Renames or moves a category with all below it. Its slug stays unless a new one is given.
 * @throws NotFound, SlugTaken, CategoryCycle, ValidationFailed
 */
export async function updateCategory(
  { db, models }: Catalogue,
  id: number,
  changes: CategoryChanges,
): Promise<Category> {
  await changeTree(db, async (tx) => {
    const branch = await branchOf(db, tx, id);
    const [self] = branch;
    if (!self) throw new NotFound({ what: "category", id });
    if (changes.slug !== undefined) await assertSlugFree(db, tx, changes.slug, id);
    if (changes.parent_id !== undefined) await moveBranch(db, tx, branch, changes.parent_id);
    await models.categories.update(
      { ...changes, updated_at: db.sequelize.fn("now") },
      { where: { id }, transaction: tx },
    );
  });
  const moved = find(await categoryTree(db), id);
  if (!moved) throw new NotFound({ what: "category", id });
  return moved;
}

/** Removes a category that has neither products nor categories in it. @throws NotFound, CategoryInUse */
export async function removeCategory({ db, models }: Catalogue, id: number): Promise<void> {
  await changeTree(db, async (tx) => {
    // Nobody can put a product in from here on: that takes a lock on this row.
    const category = await db.one("SELECT FROM products.categories WHERE id = $1 FOR UPDATE", [id], tx);
    if (!category) throw new NotFound({ what: "category", id });
    const use = await db.one<{ products: number; children: number }>(
      `SELECT
         (SELECT count(*)::int FROM products.products WHERE category_id = $1 AND withdrawn_at IS NULL) AS products,
         (SELECT count(*)::int FROM products.categories WHERE parent_id = $1) AS children`,
      [id],
      tx,
    );
    if (use && (use.products > 0 || use.children > 0)) throw new CategoryInUse(use);
    // What is left in it is withdrawn, and shown to nobody.
    await models.main.update({ category_id: null }, { where: { category_id: id }, transaction: tx });
    await models.categories.destroy({ where: { id }, transaction: tx });
  });
}

/** One change of the tree at a time, on whatever node: two moves that are fine alone can make a circle together. */
function changeTree<T>(db: Database, change: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction(async (tx) => {
    await db.rows("LOCK TABLE products.categories IN SHARE ROW EXCLUSIVE MODE", [], tx);
    return await change(tx);
  });
}

interface BranchRow {
  id: number;
  depth: number;
}

/** A category and all below it, itself first. */
async function branchOf(db: Database, tx: Tx, id: number): Promise<BranchRow[]> {
  return await db.rows<BranchRow>(
    `WITH RECURSIVE branch AS (
       SELECT id, depth FROM products.categories WHERE id = $1
       UNION ALL
       SELECT child.id, child.depth FROM products.categories AS child JOIN branch ON child.parent_id = branch.id
     )
     SELECT id, depth FROM branch ORDER BY depth`,
    [id],
    tx,
  );
}

async function moveBranch(
  db: Database,
  tx: Tx,
  branch: readonly BranchRow[],
  parent_id: number | null,
): Promise<void> {
  if (branch.some(({ id }) => id === parent_id)) throw new CategoryCycle({});
  const [self] = branch;
  const deepest = branch.at(-1);
  if (!self || !deepest) return;
  const shift = (await depthBelow(db, tx, parent_id)) - self.depth;
  assertDepth(deepest.depth + shift);
  await db.rows(
    "UPDATE products.categories SET depth = depth + $2 WHERE id = ANY ($1::int[])",
    [branch.map(({ id }) => id), shift],
    tx,
  );
}

/** The depth of what stands below this parent. @throws ValidationFailed if there is no such parent */
async function depthBelow(db: Database, tx: Tx, parent_id: number | null): Promise<number> {
  if (parent_id === null) return 1;
  const parent = await db.one<{ depth: number }>(
    "SELECT depth FROM products.categories WHERE id = $1",
    [parent_id],
    tx,
  );
  if (!parent) {
    throw new ValidationFailed({ violations: [{ path: "/parent_id", message: "names no category" }] });
  }
  return parent.depth + 1;
}

function assertDepth(depth: number): void {
  if (depth <= MAX_DEPTH) return;
  const message = `would make the tree deeper than ${MAX_DEPTH} levels`;
  throw new ValidationFailed({ violations: [{ path: "/parent_id", message }] });
}

async function assertSlugFree(db: Database, tx: Tx, slug: string, exceptOf = 0): Promise<void> {
  const sql = "SELECT FROM products.categories WHERE slug = $1 AND id <> $2";
  if (await db.one(sql, [slug, exceptOf], tx)) throw new SlugTaken({ slug });
}

/** `Pâtisserie & Baking` → `patisserie-baking`, or `patisserie-baking-2` if that is taken. */
async function freeSlug(db: Database, tx: Tx, name: string): Promise<string> {
  const rows = await db.rows<{ base: string; taken: string | null }>(
    `WITH derived AS (
       SELECT coalesce(nullif(
         trim('-' FROM left(regexp_replace(products.words($1), '[^a-z0-9]+', '-', 'g'), $2)), ''), 'category') AS base
     )
     SELECT base, slug AS taken FROM derived LEFT JOIN products.categories ON slug = base OR slug LIKE base || '-%'`,
    [name, MAX_DERIVED_SLUG],
    tx,
  );
  const base = rows[0]?.base ?? "category";
  const taken = new Set(rows.map((row) => row.taken));
  let slug = base;
  for (let number = 2; taken.has(slug); number++) slug = `${base}-${number}`;
  return slug;
}

function find(categories: readonly Category[], id: number): Category | undefined {
  for (const category of categories) {
    const found = category.id === id ? category : find(category.children, id);
    if (found) return found;
  }
  return undefined;
}
