import { EXIT, Misuse } from "../lib/errors.ts";
import { finishing, type Io } from "../lib/io.ts";
import type { ChangeOptions } from "../lib/options.ts";
import { plural } from "../lib/output.ts";
import { withSession } from "../lib/session.ts";
import { importProducts } from "./products-import.ts";
import { seedOrders, seedUsers } from "./seed-customers.ts";
import { seedProducts } from "./seed-products.ts";

export interface SeedOptions extends ChangeOptions {
  products: number;
  users: number;
  orders: number;
  seed: number;
  file?: string;
  userPassword?: string;
}

/** What became of one kind of data. */
export interface Seeded {
  wanted: number;
  /** Were there before, as far as was looked. */
  present: number;
  created: number;
  /** Could not be made; the reasons were told. */
  failed: number;
}

/** Fills the shop. @returns the exit code */
export async function seed(options: SeedOptions, io: Io): Promise<number> {
  const { products, users, orders, file } = options;
  if (products + users + orders === 0 && !file) {
    throw new Misuse(
      "Nothing is to be made.",
      "Say how much: molecart seed --products 1000 --users 10 --orders 20",
    );
  }
  if (orders > 0 && users === 0) throw new Misuse("Orders need customers.", "Say how many: --users 10");
  if (options.dryRun) {
    const plan = { products, users, orders, seed: options.seed, file: file ?? null };
    if (options.json) io.printJson({ dry_run: true, ...plan });
    else {
      const parts = [plural(products, "product"), plural(users, "user"), plural(orders, "order")];
      io.print(
        `Would make sure of ${parts.join(", ")} of seed ${options.seed}${file ? ` and import ${file}` : ""}.`,
      );
    }
    return EXIT.ok;
  }
  if (file) {
    const code = await importProducts(file, options, io);
    if (code !== EXIT.ok) return code;
  }
  // After Ctrl-C the next kind is not begun.
  const isWanted = (count: number) => count > 0 && !io.signal.aborted;
  const done = await withSession(options, finishing(io), async (session) => ({
    ...(isWanted(products) ? { products: await seedProducts(session.client, options, io) } : {}),
    ...(isWanted(users) ? { users: await seedUsers(session.client, options, io) } : {}),
    ...(isWanted(orders) ? { orders: await seedOrders(session.client, options, io) } : {}),
  }));
  const kinds = Object.entries(done);
  if (options.json && kinds.length > 0) io.printLine({ type: "summary", seed: options.seed, ...done });
  for (const [kind, { present, created, failed }] of options.json ? [] : kinds) {
    const count = (value: number) => value.toLocaleString("en-US");
    io.print(
      `${kind.padEnd(9)}${count(created)} made, ${count(present)} there already${failed > 0 ? `, ${count(failed)} failed` : ""}`,
    );
  }
  if (io.signal.aborted) {
    io.say("Cancelled. Run it again with the same seed to go on.");
    return EXIT.cancelled;
  }
  return kinds.some(([, { failed }]) => failed > 0) ? EXIT.failed : EXIT.ok;
}
