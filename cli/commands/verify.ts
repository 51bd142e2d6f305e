import type { Command } from "commander";
import { run } from "../lib/run.ts";

export function verifyCommand(program: Command): void {
  program
    .command("verify")
    .description("prove on the live data that nothing was oversold, lost or charged twice")
    .option("--url <url>", "the shop (default: MOLECART_URL, else this machine at PORT)")
    .option("--json", "print the report as JSON")
    .addHelpText(
      "after",
      "\nExits with 0 if every invariant holds, 1 if one is broken or the shop is down, 4 if not logged in.",
    )
    .action(async (options: { url?: string; json?: boolean }) => {
      await run(async () => {
        const { verify } = await import("../actions/verify.ts");
        return await verify(options, process.env);
      });
    });
}
