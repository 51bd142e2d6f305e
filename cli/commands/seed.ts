import type { Command } from "commander";
import type { SeedOptions } from "../actions/seed.ts";
import { changesThings, examples, prose, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function seedCommand(command: Command): void {
  changesThings(command)
    .option("--products <n>", "how many products", whole(0, 10_000_000), 0)
    .option(
      "--users <n>",
      "how many customers, of the password that --user-password gives",
      whole(0, 1_000_000),
      0,
    )
    .option(
      "--orders <n>",
      "how many paid orders of these customers, marked as synthetic",
      whole(0, 1_000_000),
      0,
    )
    .option("--seed <n>", "what the data is made of", whole(0, 2_000_000_000), 1)
    .option("--file <file>", "also the products of this file (NDJSON or CSV)")
    .option("--user-password <password>", "of the customers (default: one made of the seed; see below)")
    .addHelpText(
      "after",
      examples(
        "seed --products 1000",
        "seed --products 100000 --users 200 --orders 500 --seed 7",
        "seed --file catalogue.csv",
        "seed --products 1000 --json",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "The same seed makes the same SKUs, emails and orders: what is there already is not made again, so " +
          "it may be run twice, or killed and run again. Without --user-password whoever knows the seed knows " +
          "the customers' password (seeded-customer-<seed>): not for a shop that strangers can reach.",
      ),
    )
    .action(async (options: SeedOptions) => {
      await run(options, async (io) => (await import("../actions/seed.ts")).seed(options, io));
    });
}
