import { type Command, Option } from "commander";
import type { LogsOptions } from "../actions/logs.ts";
import { examples, prose, several, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];

export function logsCommand(command: Command): void {
  command
    .option("-f, --follow", "and what comes, until Ctrl-C")
    .option("--node <name>", "only this node's; may be given several times", several)
    .option("--service <name>", "only what this service says; may be given several times", several)
    .addOption(new Option("--level <level>", "at least of this level").choices(LEVELS))
    .option("--grep <regexp>", "only lines that match")
    .option("--since <time>", "10m, 2h, 3d, or a time as ISO 8601")
    .option("--request <id>", "only what belongs to a request: its X-Request-Id")
    .option(
      "-n, --tail <n>",
      "the last so many (default: 100; all with --since, --grep or --request)",
      whole(0),
    )
    .option("--json", "the lines as they were written")
    .option("--no-input", "ask nothing")
    .addHelpText(
      "after",
      examples(
        "logs --follow --level warn",
        "logs --node orders-payments --service orders --since 10m",
        "logs --request 01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11",
        "logs --since 1h --json | jq -c 'select(.level >= 50) | {mod, msg}'",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "Of the nodes of DATA_DIR: an embedded shop and a local cluster keep 50 MB a node there (LOG_FILES).",
      ),
    )
    .action(async (options: LogsOptions) => {
      await run(options, async (io) => (await import("../actions/logs.ts")).logs(options, io));
    });
}
