import { Argument, type Command } from "commander";
import { examples, prose } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function completionCommand(command: Command): void {
  command
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      examples(
        "completion fish > ~/.config/fish/completions/molecart.fish",
        "completion bash --json | jq .order",
      ),
    )
    .addHelpText(
      "after",
      prose(
        'In ~/.bashrc: eval "$(molecart completion bash)"\n' +
          'In ~/.zshrc, after compinit: eval "$(molecart completion zsh)"',
      ),
    )
    .option("--json", "print the words that may follow each command, as JSON")
    .option("--no-input", "ask nothing")
    .action(async (shell: string, options: { json?: boolean; input?: boolean }) => {
      await run(options, async (io) => {
        const { completion } = await import("../actions/completion.ts");
        return await completion(shell, options, io);
      });
    });
}
