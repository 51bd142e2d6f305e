import type { Command } from "commander";
import type { TopOptions } from "../actions/top.ts";
import { examples, prose, talksToShop, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function topCommand(command: Command): void {
  talksToShop(command)
    .option("-i, --interval <seconds>", "how often to look", whole(1, 3600), 1)
    .option("-n, --count <n>", "end after so many looks", whole(1))
    .addHelpText(
      "after",
      examples(
        "top",
        "top --count 60 > minute.log",
        "top --json | jq -c '[.timestamp, .sales.orders_per_minute]'",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "In a terminal ? tells the keys; in a pipe it prints a line a look. Rates need two looks: in the " +
          "first one they are null.",
      ),
    )
    .action(async (options: TopOptions) => {
      await run(options, async (io) => (await import("../actions/top.ts")).top(options, io));
    });
}
