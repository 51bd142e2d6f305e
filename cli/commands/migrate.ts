import type { Command } from "commander";
import type { MigrateChangeOptions, MigrateOptions } from "../actions/migrate.ts";
import { examples, prose } from "../lib/options.ts";
import { run } from "../lib/run.ts";

const common = (command: Command) =>
  command
    .option("--service <name>", "only this one's schema")
    .option("--json", "print JSON")
    .option("--no-input", "ask nothing");

export function migrateCommand(command: Command): void {
  common(command.command("status").description("what was applied, and what is pending"))
    .addHelpText(
      "after",
      examples("migrate status", "migrate status --json | jq -c '.migrations[] | [.name, .state]'"),
    )
    .action(async (options: MigrateOptions) => {
      await run(options, async (io) => (await import("../actions/migrate.ts")).migrateStatus(options, io));
    });

  common(command.command("up").description("apply what is pending, as a node does at its start"))
    .option("--to <name>", "up to this one; needs --service")
    .option("--dry-run", "say what would be done, and do nothing")
    .addHelpText("after", examples("migrate up", "migrate up --service inventory --dry-run"))
    .action(async (options: MigrateChangeOptions) => {
      await run(options, async (io) => (await import("../actions/migrate.ts")).migrateUp(options, io));
    });

  common(
    command
      .command("down")
      .description("take the newest migration of a service back, with what stands in it"),
  )
    .option("--to <name>", "all that came after this one; 0 for every one")
    .option("--dry-run", "say what would be done, and do nothing")
    .option("-y, --yes", "don't ask")
    .addHelpText(
      "after",
      examples("migrate down --service inventory --dry-run", "migrate down --service orders --to 0 --yes"),
    )
    .addHelpText(
      "after",
      prose(
        "Data that only the newer schema can hold is lost: take a backup first. A node of today's version " +
          "migrates up again at its start, unless MIGRATE=off.",
      ),
    )
    .action(async (options: MigrateChangeOptions) => {
      await run(options, async (io) => (await import("../actions/migrate.ts")).migrateDown(options, io));
    });
}
