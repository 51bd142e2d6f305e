import type { Command } from "commander";
import type { HealthOptions } from "../actions/health.ts";
import { examples, prose, talksToShop, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function healthCommand(command: Command): void {
  talksToShop(command)
    .option("-w, --watch", "look again and again, until Ctrl-C")
    .option("--interval <seconds>", "how often to look", whole(1, 3600), 2)
    .addHelpText(
      "after",
      examples(
        "health",
        "health --watch",
        "health --json | jq -r .status",
        "health --watch --json | jq -c '[.checked_at, .status]'",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "Exits with 0, or 1 when checkout can't work or the shop is down; after --watch, as it was last.",
      ),
    )
    .action(async (options: HealthOptions) => {
      await run(options, async (io) => {
        const { health } = await import("../actions/health.ts");
        return await health(options, io);
      });
    });
}
