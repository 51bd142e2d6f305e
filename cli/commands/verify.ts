import type { Command } from "commander";
import { type CommonOptions, examples, prose, talksToShop } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function verifyCommand(command: Command): void {
  talksToShop(command)
    .addHelpText("after", examples("verify", "verify --json | jq '.invariants[] | select(.ok | not)'"))
    .addHelpText(
      "after",
      prose(
        "Exits with 0 if every invariant holds, 1 if one is broken or the shop is down, 4 if not logged in.",
      ),
    )
    .action(async (options: CommonOptions) => {
      await run(options, async (io) => {
        const { verify } = await import("../actions/verify.ts");
        return await verify(options, io);
      });
    });
}
