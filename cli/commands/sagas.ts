import { type Command, Option } from "commander";
import type { SagaListOptions, SagaRedriveOptions } from "../actions/sagas.ts";
import { asksFirst, type CommonOptions, examples, talksToShop, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

const STATES = ["running", "compensating", "waiting", "done", "undone", "parked"];

export function sagasCommand(command: Command): void {
  talksToShop(command.command("list").description("those that are not at their end, oldest first"))
    .addOption(new Option("--state <state>", "only these").choices(STATES))
    .option("--limit <n>", "how many", whole(1, 100), 20)
    .option("--page <n>", "from 1", whole(1), 1)
    .addHelpText(
      "after",
      examples("sagas list --state parked", "sagas list --json | jq -r '.sagas[].order_id'"),
    )
    .action(async (options: SagaListOptions) => {
      await run(options, async (io) => (await import("../actions/sagas.ts")).listSagas(options, io));
    });

  talksToShop(
    command
      .command("show")
      .description("the saga of an order, if it is not at its end")
      .argument("<order>", "its id or number"),
  )
    .addHelpText("after", examples("sagas show MC-000042"))
    .action(async (order: string, options: CommonOptions) => {
      await run(options, async (io) => (await import("../actions/sagas.ts")).showSaga(order, options, io));
    });

  asksFirst(
    command
      .command("redrive")
      .description("run parked sagas again")
      .argument("[orders...]", "ids or numbers"),
  )
    .option("--all", "every parked one")
    .addHelpText("after", examples("sagas redrive MC-000042", "sagas redrive --all --yes"))
    .action(async (orders: string[], options: SagaRedriveOptions) => {
      await run(options, async (io) =>
        (await import("../actions/sagas.ts")).redriveSagas(orders, options, io),
      );
    });
}
