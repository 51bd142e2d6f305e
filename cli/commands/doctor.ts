import type { Command } from "commander";
import { type CommonOptions, examples, prose, talksToShop } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function doctorCommand(command: Command): void {
  talksToShop(command)
    .addHelpText("after", examples("doctor", "doctor --url https://shop.example.com --json"))
    .addHelpText("after", prose("Exits with 1 if something is wrong."))
    .action(async (options: CommonOptions) => {
      await run(options, async (io) => (await import("../actions/doctor.ts")).doctor(options, io));
    });
}
