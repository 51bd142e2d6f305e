import { type Command, InvalidArgumentError, Option } from "commander";
import type { ChaosOptions } from "../actions/chaos.ts";
import { examples, prose, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function chaosCommand(command: Command): void {
  command
    .argument("[layout...]", "of a cluster of its own, as for `npm run cluster`: orders=3 inventory=2")
    .option("--seed <seed>", "the same faults at the same times for the same shop", "1")
    .option("--duration <time>", "how long it is broken: 30, 30s or 2m", seconds, 30)
    .option("--count <n>", "how many visits of customers at most", whole(1, 10_000_000), 1_000_000)
    .option("--concurrency <n>", "how many at once", whole(1, 500), 8)
    .option(
      "--mix <kinds>",
      "how often each kind of visit comes",
      "browse=5,abandon=5,pay=70,decline=10,cancel=10",
    )
    .option("--faults <kinds>", "only these of kill,freeze,restart,nats,redis,postgres,mongo")
    .option("--cluster", "a cluster or nothing")
    .option("--embedded", "an embedded shop, killed and started again and again; needs nothing installed")
    .addOption(new Option("--url <url>").hideHelp())
    .option("--json", "print NDJSON: each fault, the progress, and the summary at last")
    .option("--no-input", "ask nothing")
    .option("-y, --yes", "don't ask before a running cluster is broken")
    .addHelpText(
      "after",
      examples(
        "chaos",
        "chaos --embedded --duration 20",
        "chaos --seed 7 --duration 2m --concurrency 16",
        "chaos --faults kill,nats orders=3 inventory=2",
        "chaos --json | jq -c 'select(.type == \"summary\") | {ok, told}'",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "Breaks the cluster that `npm run cluster` runs here, after asking; else a cluster of its own on " +
          "servers of its own; without a nats-server an embedded shop. Nothing else on this machine, and " +
          "nothing anywhere else.\n" +
          "Its own shops are forgotten afterwards. Exits with 0 only if every promise held.",
      ),
    )
    .action(async (layout: string[], options: ChaosOptions) => {
      await run(options, async (io) => (await import("../actions/chaos.ts")).chaos(layout, options, io));
    });
}

/** `30`, `30s`, `2m`: 5 s to 10 min, as long as a customer's login lasts. @returns s */
export function seconds(text: string): number {
  const match = /^(\d+)(s|m)?$/.exec(text);
  const value = Number(match?.[1]) * (match?.[2] === "m" ? 60 : 1);
  if (value >= 5 && value <= 600) return value;
  throw new InvalidArgumentError("It must be a time from 5s to 10m, like 30, 30s or 2m.");
}
