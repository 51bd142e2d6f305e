import { type Command, Option } from "commander";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import type { EventListOptions, EventRedriveOptions } from "../actions/events.ts";
import { asksFirst, type CommonOptions, examples, talksToShop, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function eventsCommand(command: Command): void {
  talksToShop(command.command("list").description("dead letters first, then those that are late"))
    .addOption(new Option("--state <state>", "only these").choices(["dead", "late"]))
    .addOption(new Option("--subscriber <service>", "only those for this service").choices(SERVICE_NAMES))
    .option("--limit <n>", "how many", whole(1, 100), 20)
    .option("--page <n>", "from 1", whole(1), 1)
    .addHelpText(
      "after",
      examples(
        "events list --state dead",
        "events list --subscriber analytics --json | jq -r '.events[].id'",
      ),
    )
    .action(async (options: EventListOptions) => {
      await run(options, async (io) => (await import("../actions/events.ts")).listEvents(options, io));
    });

  talksToShop(
    command
      .command("show")
      .description("one undelivered event, and what it says, without personal data")
      .argument("<id>", "as `events list` shows it"),
  )
    .addHelpText("after", examples("events show 01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11"))
    .action(async (id: string, options: CommonOptions) => {
      await run(options, async (io) => (await import("../actions/events.ts")).showEvent(id, options, io));
    });

  asksFirst(
    command
      .command("redrive")
      .description("have dead letters delivered again")
      .argument("[ids...]", "as `events list` shows them"),
  )
    .addOption(new Option("--subscriber <service>", "all those for this service").choices(SERVICE_NAMES))
    .option("--all", "all of them")
    .addHelpText(
      "after",
      examples(
        "events redrive 01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11",
        "events redrive --subscriber notifications --dry-run",
        "events redrive --all --yes",
      ),
    )
    .action(async (ids: string[], options: EventRedriveOptions) => {
      await run(options, async (io) =>
        (await import("../actions/events.ts")).redriveEvents(ids, options, io),
      );
    });
}
