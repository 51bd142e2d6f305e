import { call, type Origin } from "../../lib/call.ts";
import { requireOffered } from "../../lib/calling.ts";
import { toMinor } from "../../lib/money.ts";
import type { Database, Tx } from "../../lib/stores/database.ts";
import type { Catalogue } from "./catalogue.ts";
import { applyLevels } from "./stock.ts";
import { upsertProducts } from "./upsert.ts";

const NAME = "demo";
/** Arbitrary but fixed: who holds it is loading. */
const LOCK = 7_203_010;
/** ms for inventory to set all of the catalogue's stock. */
const STOCK_TIMEOUT = 15_000;

type Progress = "to do" | "stock to do" | "done";

/**
 * Loads the demo catalogue into a shop that has no products yet: once, by one node, and to its end even if the node dies
 * halfway. First the products, in one transaction that also notes that they are there; then their stock.
 *
 * @param changed is told when there is something new to see
 */
export async function loadDemoCatalogue(
  catalogue: Catalogue,
  origin: Origin,
  changed: () => Promise<void>,
): Promise<void> {
  const { db } = catalogue;
  if ((await progressOf(db)) === "done") return;
  const demo = await readDemoCatalogue();
  const loaded = await underLock(db, (tx) => loadProducts(catalogue, tx, demo));
  if (loaded) await changed();
  // The lock is kept while inventory is asked: if another node did the same later, it would undo the first sales.
  const stocked = await underLock(db, (tx) => loadStock(db, tx, origin, demo.products));
  if (stocked) await changed();
}

/** Read when needed, so that a shop that has it already doesn't pay for it. */
async function readDemoCatalogue() {
  const { default: demo } = await import("../../data/demo-catalogue.json", { with: { type: "json" } });
  return demo;
}
type DemoCatalogue = Awaited<ReturnType<typeof readDemoCatalogue>>;

async function progressOf(db: Database, tx?: Tx): Promise<Progress> {
  const row = await db.one<{ finished: boolean }>(
    "SELECT finished_at IS NOT NULL AS finished FROM products.seeds WHERE name = $1",
    [NAME],
    tx,
  );
  if (!row) return "to do";
  return row.finished ? "done" : "stock to do";
}

function underLock<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction(async (tx) => {
    await db.rows("SELECT pg_advisory_xact_lock($1)", [LOCK], tx);
    return await work(tx);
  });
}

/** @returns whether it loaded them now */
async function loadProducts({ db, currency }: Catalogue, tx: Tx, demo: DemoCatalogue): Promise<boolean> {
  if ((await progressOf(db, tx)) !== "to do") return false;
  if (await db.one("SELECT FROM products.products LIMIT 1", [], tx)) return false;
  const ids = new Map<string, number>();
  for (const { name, slug, parent } of demo.categories) {
    const row = await db.one<{ id: number }>(
      `INSERT INTO products.categories (name, slug, parent_id, depth)
       VALUES ($1, $2, $3, 1 + coalesce((SELECT depth FROM products.categories WHERE id = $3), 0))
       ON CONFLICT (slug) DO UPDATE SET slug = excluded.slug
       RETURNING id`,
      [name, slug, parent === null ? null : (ids.get(parent) ?? null)],
      tx,
    );
    if (row) ids.set(slug, row.id);
  }
  const products = demo.products.map(({ category, stock: _stock, price, ...fields }) => ({
    ...fields,
    price: toMinor(price),
    currency: demo.currency,
    category_id: ids.get(category) ?? null,
  }));
  await upsertProducts(db, tx, products, currency);
  await db.rows("INSERT INTO products.seeds (name) VALUES ($1)", [NAME], tx);
  return true;
}

/** @returns whether it set the stock now */
async function loadStock(
  db: Database,
  tx: Tx,
  origin: Origin,
  products: DemoCatalogue["products"],
): Promise<boolean> {
  if ((await progressOf(db, tx)) !== "stock to do") return false;
  requireOffered(origin.broker, "inventory.levels");
  const stock = new Map(products.map((product) => [product.sku, product.stock]));
  const rows = await db.rows<{ id: number; sku: string }>(
    "SELECT id, sku FROM products.products WHERE sku = ANY ($1::text[]) ORDER BY id",
    [[...stock.keys()]],
    tx,
  );
  // Whoever died halfway may have set some of it, and sold from it since.
  const known = await call(origin, "inventory.levels", { product_ids: rows.map(({ id }) => id) });
  await applyLevels(db, known, tx);
  const stocked = new Set(known.filter(({ received }) => received > 0).map(({ product_id }) => product_id));
  const levels = rows
    .filter(({ id }) => !stocked.has(id))
    .map(({ id, sku }) => ({ product_id: id, on_hand: stock.get(sku) ?? 0 }));
  if (levels.length > 0) {
    const done = await call(origin, "inventory.setMany", { levels }, { timeout: STOCK_TIMEOUT });
    await applyLevels(db, done.levels, tx);
  }
  await db.rows("UPDATE products.seeds SET finished_at = now() WHERE name = $1", [NAME], tx);
  return true;
}
