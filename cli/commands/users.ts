import { type Command, Option } from "commander";
import type { UserListOptions, UserSetOptions, UsersExportOptions } from "../actions/users.ts";
import { asksFirst, type CommonOptions, examples, talksToShop, whole } from "../lib/options.ts";
import { run } from "../lib/run.ts";

const ROLE = (what: string) => new Option("--role <role>", what).choices(["customer", "admin"]);

export function usersCommand(command: Command): void {
  talksToShop(command.command("list").description("a page of the accounts"))
    .option("--search <text>", "in email and names")
    .addOption(ROLE("only of this role"))
    .option("--inactive", "only those that can't log in")
    .option("--limit <n>", "how many", whole(1, 100), 20)
    .option("--page <n>", "from 1", whole(1), 1)
    .addHelpText("after", examples("users list --role admin", "users list --search ada --json"))
    .action(async (options: UserListOptions) => {
      await run(options, async (io) => (await import("../actions/users.ts")).listUsers(options, io));
    });

  talksToShop(command.command("show").description("one account").argument("<user>", "its id or email"))
    .addHelpText("after", examples("users show ada@example.com"))
    .action(async (user: string, options: CommonOptions) => {
      await run(options, async (io) => (await import("../actions/users.ts")).showUser(user, options, io));
    });

  asksFirst(
    command
      .command("set")
      .description("change an account's role or state")
      .argument("<user>", "its id or email"),
  )
    .addOption(ROLE("the new role"))
    .option("--active", "let it log in")
    .option("--no-active", "end its sessions and let it in no more")
    .addHelpText(
      "after",
      examples("users set ada@example.com --role admin", "users set ada@example.com --no-active --yes"),
    )
    .action(async (user: string, options: UserSetOptions) => {
      await run(options, async (io) => (await import("../actions/users.ts")).setUser(user, options, io));
    });

  talksToShop(command.command("export").description("every account, without passwords"))
    .addOption(new Option("--format <format>", "of the lines").choices(["ndjson", "csv"]).default("ndjson"))
    .addHelpText("after", examples("users export > users.ndjson", "users export --format csv"))
    .action(async (options: UsersExportOptions) => {
      await run(options, async (io) => (await import("../actions/users.ts")).exportUsers(options, io));
    });
}
