/**
 * A shop that is nothing but its Postgres: `node embedded-postgres-child.ts <dataDir>`. It prints one line of JSON when
 * Postgres is up (`{ url }`) or failed (`{ error }`), drains until its stdin ends, stops Postgres twice, says so
 * (`{ stopped }`), and must then exit on its own. Ctrl-C it only counts, like a shop that drains.
 */
import { startEmbeddedPostgres } from "../../lib/stores/embedded-postgres.ts";

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const [, , dataDir = ""] = process.argv;

process.on("SIGINT", () => say({ signal: "SIGINT" }));
try {
  const postgres = await startEmbeddedPostgres({ dataDir, settings: { fsync: "off" } });
  say({ url: postgres.url });
  for await (const _ of process.stdin);
  await Promise.all([postgres.stop(), postgres.stop()]);
  await postgres.stop();
  say({ stopped: true });
} catch (error) {
  say({ error: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}
