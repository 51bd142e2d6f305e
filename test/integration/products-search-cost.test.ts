import { describe, expect, it } from "@jest/globals";
import { itemsOf, visitorOf } from "../helpers/catalogue.ts";
import { eventually } from "../helpers/client.ts";
import { query } from "../helpers/query.ts";
import { createDatabase, type Shop, startShop } from "../helpers/shop.ts";

/** What searches cost Postgres, counted in rows and calls: time would say more about the machine. */
const PRODUCTS = 3_000;
const MATERIALS = ["oak", "linen", "steel", "walnut", "copper", "cotton", "bamboo", "glass", "wool", "slate"];

interface Cost {
  /** Rows of the catalogue that were read, by whatever way. */
  rows: number;
  /** Calls of the functions that make a tsquery of a search. */
  calls: number;
}

async function costOf(
  after: "import" | "vacuum",
  visits: (list: ReturnType<typeof visitorOf>["list"]) => Promise<void>,
): Promise<Cost> {
  const databaseUrl = await createDatabase();
  await query(
    databaseUrl,
    `ALTER DATABASE ${new URL(databaseUrl).pathname.slice(1)} SET track_functions = 'all'`,
  );
  await query(databaseUrl, "ALTER TABLE products.products SET (autovacuum_enabled = false)");
  await query(
    databaseUrl,
    `INSERT INTO products.products (sku, name, price, currency)
     SELECT 'COST-' || n, 'Foldable ' || ('{${MATERIALS}}'::text[])[1 + n % ${MATERIALS.length}] || ' lamp ' || n, n, 'USD'
     FROM generate_series(1, ${PRODUCTS}) AS n`,
  );
  if (after === "vacuum") await query(databaseUrl, "VACUUM (ANALYZE) products.products");
  await query(databaseUrl, "SELECT pg_stat_reset()");
  const shop: Shop = await startShop({ databaseUrl, env: { DATABASE_POOL: "2" } });
  const { list } = visitorOf(() => shop);
  try {
    await visits(list);
  } finally {
    await shop.stop();
  }
  // Each connection brings its figures as it closes.
  await eventually(async () => {
    const open = await query(
      databaseUrl,
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    );
    return open.length === 0;
  });
  const [cost] = await query<{ rows: number; calls: number }>(
    databaseUrl,
    `SELECT
       (SELECT (seq_tup_read + coalesce(idx_tup_fetch, 0))::int FROM pg_stat_user_tables
        WHERE schemaname = 'products' AND relname = 'products') AS rows,
       (SELECT coalesce(sum(calls), 0)::int FROM pg_stat_user_functions
        WHERE funcname IN ('search_query', 'whole_query')) AS calls`,
  );
  if (!cost) throw new Error("There are no figures.");
  return cost;
}

describe("a search in a large catalogue", () => {
  it.each(["import", "vacuum"] as const)(
    "reads what it was asked for once, however many it finds and however often others searched, after a %s",
    async (after) => {
      const searches = 20;
      const { calls } = await costOf(after, async (list) => {
        for (let page = 1; page <= searches; page++) {
          const answer = await list({ search: "steel", page });
          expect(answer.at("pagination", "total")).toBe(PRODUCTS / MATERIALS.length);
        }
      });
      expect(calls).toBeGreaterThan(0);
      expect(calls).toBeLessThan(searches * 20);
    },
  );

  it("does not walk through the catalogue once more to find that nothing has all its words", async () => {
    const { rows } = await costOf("vacuum", async (list) => {
      // Each is often met, so Postgres expects to meet both soon.
      expect(itemsOf(await list({ search: "steel wool" }))).toEqual([]);
    });
    // Once it may, to look for words that are spelled almost so.
    expect(rows).toBeLessThan(1.5 * PRODUCTS);
  });
});
