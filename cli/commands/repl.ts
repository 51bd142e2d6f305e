import type { Command } from "commander";
import type { ReplOptions } from "../actions/repl.ts";
import { examples, prose } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function replCommand(command: Command): void {
  command
    .option("--nats [servers]", "join the cluster as a node, at NATS_URL or what is given")
    .option("--url <url>", "the shop (default: MOLECART_URL, the last login's, else this machine at PORT)")
    .option("--profile <name>", "the login to use (MOLECART_PROFILE)")
    .option("--guest", "as nobody, as a visitor of the shop is")
    .option("--json", "no prompt: a command a line from stdin, answers as JSON")
    .option("--no-input", "ask nothing")
    .addHelpText(
      "after",
      examples(
        "repl",
        "repl --nats nats://127.0.0.1:4222",
        "repl --guest",
        "echo 'call products.get --id 1' | molecart repl | jq .name",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "Calls are made as the login, with the permissions it has: what is for services only is refused, " +
          "over NATS too.\n" +
          "Beside Moleculer's commands (call, bench, actions, services, nodes, events, …) there are seed, " +
          "order, stock, saga and verify. In a pipe each line is a command, answers are JSON, and it exits " +
          "with 1 if one of them failed.",
      ),
    )
    .action(async (options: ReplOptions) => {
      await run(options, async (io) => (await import("../actions/repl.ts")).repl(options, io));
    });
}
