import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import pg from "pg";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../lib/stores/embedded-postgres.ts";
import { TEMPLATE_DATABASE } from "./env.ts";
import { startShop } from "./shop.ts";

declare global {
  // Jest hands nothing else from the setup to the teardown.
  var testPostgres: EmbeddedPostgres | undefined;
  var testDataDir: string | undefined;
}

/** Puts typebox into a few files, which jest.config.js has the tests load in its place. */
async function bundleTypebox(): Promise<void> {
  await build({
    entryPoints: Object.fromEntries(
      ["compile", "error", "value"].map((part) => [part, `typebox/${part}`]).concat([["index", "typebox"]]),
    ),
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    outdir: "node_modules/.cache/molecart/typebox",
    outExtension: { ".js": ".mjs" },
  });
}

/** One Postgres for the run, tuned to forget; a template database that each test file's shop is copied from. */
export default async function globalSetup(): Promise<void> {
  await bundleTypebox();
  const dataDir = await mkdtemp(join(tmpdir(), "molecart-test-"));
  const postgres = await startEmbeddedPostgres({
    dataDir,
    settings: { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "300" },
  });
  globalThis.testPostgres = postgres;
  globalThis.testDataDir = dataDir;
  process.env.TEST_DATABASE_URL = postgres.url;

  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${TEMPLATE_DATABASE}`);
  await client.end();
  const template = new URL(postgres.url);
  template.pathname = `/${TEMPLATE_DATABASE}`;
  const shop = await startShop({ databaseUrl: template.href });
  await shop.stop();
}
