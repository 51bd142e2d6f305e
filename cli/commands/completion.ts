import { Argument, type Command } from "commander";
import { run } from "../lib/run.ts";

export function completionCommand(command: Command): void {
  command
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      '\nExamples:\n  bash  eval "$(molecart completion bash)"           in ~/.bashrc' +
        '\n  zsh   eval "$(molecart completion zsh)"            in ~/.zshrc, after compinit' +
        "\n  fish  molecart completion fish > ~/.config/fish/completions/molecart.fish",
    )
    .action(async (shell: string) => {
      await run({}, async (io) => {
        const { completion } = await import("../actions/completion.ts");
        return await completion(shell, io);
      });
    });
}
