import type { Command } from "commander";
import { examples } from "../lib/options.ts";
import { run } from "../lib/run.ts";

interface OpenOptions {
  url?: string;
  profile?: string;
  json?: boolean;
  input?: boolean;
}

export function openCommand(command: Command): void {
  command
    .command("docs")
    .description(
      "the API's description, with a page to try it; without a terminal its address is only printed",
    )
    .option("--url <url>", "the shop")
    .option("--profile <name>", "the login whose shop it is")
    .option("--json", "print the address as JSON, and open nothing")
    .option("--no-input", "only print the address")
    .addHelpText("after", examples("open docs", "open docs --no-input"))
    .action(async (options: OpenOptions) => {
      await run(options, async (io) => {
        const { openDocs } = await import("../actions/open.ts");
        return await openDocs(options, io);
      });
    });
}
