import { type Command, Option } from "commander";
import type { ExportOptions, ImportOptions, ListOptions, SetOptions } from "../actions/products.ts";
import {
  amount,
  type CommonOptions,
  changesThings,
  examples,
  prose,
  talksToShop,
  whole,
} from "../lib/options.ts";
import { run } from "../lib/run.ts";

const FORMAT = () => new Option("--format <format>", "of the lines").choices(["ndjson", "csv"]);

export function productsCommand(command: Command): void {
  talksToShop(command.command("list").description("a page of the catalogue"))
    .option("--search <words>", "words; forgives a typo")
    .option("--category <category>", "name or slug, with what stands below it")
    .option("--in-stock", "only what can be bought")
    .addOption(new Option("--sort <order>").choices(["newest", "price", "-price", "name", "relevance"]))
    .option("--limit <n>", "how many", whole(1, 100), 20)
    .option("--page <n>", "from 1", whole(1), 1)
    .addHelpText(
      "after",
      examples('products list --search "coffee" --in-stock', "products list --json | jq '.products[].sku'"),
    )
    .action(async (options: ListOptions) => {
      await run(options, async (io) => (await import("../actions/products.ts")).listProducts(options, io));
    });

  talksToShop(command.command("show").description("one product").argument("<product>", "its id or SKU"))
    .addHelpText("after", examples("products show 42", "products show HK-COF-0001 --json"))
    .action(async (product: string, options: CommonOptions) => {
      await run(options, async (io) =>
        (await import("../actions/products.ts")).showProduct(product, options, io),
      );
    });

  changesThings(command.command("set").description("change a product").argument("<product>", "its id or SKU"))
    .option("--name <name>")
    .option("--price <amount>", "like 29.99", amount)
    .option("--description <text>")
    .option("--category <category>", "name or slug")
    .option("--sku <sku>", "a new SKU")
    .addHelpText(
      "after",
      examples("products set 42 --price 19.99", "products set HK-COF-0001 --name 'Moka pot' --dry-run"),
    )
    .action(async (product: string, options: SetOptions) => {
      await run(options, async (io) =>
        (await import("../actions/products.ts")).setProduct(product, options, io),
      );
    });

  changesThings(
    command
      .command("import")
      .description("add and change products by SKU from a file, streamed")
      .argument("<file>", "NDJSON or CSV, - for standard input"),
  )
    .addOption(FORMAT())
    .addHelpText(
      "after",
      examples(
        "products import catalogue.csv",
        "products import - --format ndjson < catalogue.ndjson",
        "products import catalogue.csv --dry-run",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "Columns: sku, name, price; if wanted description, category, category_id, currency, images, " +
          "stock_quantity.\n" +
          "A line that is refused is told with its number, the others are taken; then the exit code is 1.",
      ),
    )
    .action(async (file: string, options: ImportOptions) => {
      await run(options, async (io) =>
        (await import("../actions/products-import.ts")).importProducts(file, options, io),
      );
    });

  talksToShop(command.command("export").description("the whole catalogue, as lines that import takes"))
    .addOption(FORMAT().default("ndjson"))
    .option("--search <words>", "only what is found")
    .option("--category <category>", "only this category")
    .addHelpText(
      "after",
      examples("products export > catalogue.ndjson", "products export --format csv | head -3"),
    )
    .action(async (options: ExportOptions) => {
      await run(options, async (io) => (await import("../actions/products.ts")).exportProducts(options, io));
    });
}
