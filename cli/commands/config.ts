import type { Command } from "commander";
import { examples } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function configCommand(command: Command): void {
  command
    .command("show")
    .description("every setting and where molecart would connect to, with secrets masked")
    .option("--json", "print JSON")
    .option("--no-input", "ask nothing")
    .addHelpText(
      "after",
      examples("config show", "PORT=9000 molecart config show --json | jq .settings.PORT"),
    )
    .action(async (options: { json?: boolean; input?: boolean }) => {
      await run(options, async (io) => {
        const { showConfig } = await import("../actions/config.ts");
        return await showConfig(options, io);
      });
    });
}
