import { type Command, Option } from "commander";
import type { ExportOptions } from "../actions/products.ts";
import type { StockImportOptions, StockListOptions, StockSetOptions } from "../actions/stock.ts";
import { type CommonOptions, changesThings, examples, prose, talksToShop, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

const FORMAT = () => new Option("--format <format>", "of the lines").choices(["ndjson", "csv"]);

export function stockCommand(command: Command): void {
  talksToShop(
    command
      .command("list")
      .description("what can be bought of each product; what is reserved is not counted"),
  )
    .option("--search <words>", "only what is found")
    .option("--out", "only what is out of stock")
    .option("--limit <n>", "how many", whole(1, 100), 20)
    .option("--page <n>", "from 1", whole(1), 1)
    .addHelpText("after", examples("stock list --out", "stock list --search coffee --json"))
    .action(async (options: StockListOptions) => {
      await run(options, async (io) => (await import("../actions/stock.ts")).listStock(options, io));
    });

  talksToShop(
    command.command("show").description("the stock of one product").argument("<product>", "its id or SKU"),
  )
    .addHelpText("after", examples("stock show 42"))
    .action(async (product: string, options: CommonOptions) => {
      await run(options, async (io) => (await import("../actions/stock.ts")).showStock(product, options, io));
    });

  changesThings(
    command
      .command("set")
      .description("set how many are on hand, or change it by a difference")
      .argument("<product>", "its id or SKU")
      .argument("<quantity>", "40, +5 or -3"),
  )
    .addHelpText("after", examples("stock set 42 100", "stock set HK-COF-0001 +24", "stock set 42 -3"))
    .addHelpText("after", prose("Never below what is reserved for orders under way."))
    .action(async (product: string, quantity: string, options: StockSetOptions) => {
      await run(options, async (io) =>
        (await import("../actions/stock.ts")).setStock(product, quantity, options, io),
      );
    });

  changesThings(
    command
      .command("import")
      .description("set how many are on hand from a file: product_id and quantity")
      .argument("<file>", "NDJSON or CSV, - for standard input"),
  )
    .addOption(FORMAT())
    .addHelpText("after", examples("stock import counted.csv", "stock import counted.csv --dry-run"))
    .action(async (file: string, options: StockImportOptions) => {
      await run(options, async (io) =>
        (await import("../actions/stock-import.ts")).importStock(file, options, io),
      );
    });

  talksToShop(command.command("export").description("product_id, sku, quantity of every product"))
    .addOption(FORMAT().default("csv"))
    .option("--search <words>", "only what is found")
    .addHelpText(
      "after",
      examples("stock export > stock.csv", "stock export --format ndjson | jq -c 'select(.quantity < 5)'"),
    )
    .action(async (options: ExportOptions) => {
      await run(options, async (io) => (await import("../actions/stock.ts")).exportStock(options, io));
    });
}
