import type { Command } from "commander";
import type { LoginOptions } from "../actions/login.ts";
import { type CommonOptions, examples, prose, talksToShop } from "../lib/options.ts";
import { run } from "../lib/run.ts";

export function loginCommand(command: Command): void {
  talksToShop(command)
    .option("--email <email>", "whose login it is (default: asked for)")
    .option("--password-stdin", "read the password from standard input")
    .addHelpText(
      "after",
      examples(
        "login",
        "login --url https://shop.example.com --profile production",
        "login --email ops@example.com --password-stdin < password.txt",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "Without --email: ADMIN_EMAIL and ADMIN_PASSWORD if they are set, else, on this machine, the admin " +
          "of an embedded shop in DATA_DIR, else you are asked. Kept in " +
          "$XDG_CONFIG_HOME/molecart/profiles.json, readable by you alone.",
      ),
    )
    .action(async (options: LoginOptions) => {
      await run(options, async (io) => {
        const { login } = await import("../actions/login.ts");
        return await login(options, io);
      });
    });
}

export function logoutCommand(command: Command): void {
  talksToShop(command)
    .addHelpText("after", examples("logout", "logout --profile production"))
    .action(async (options: CommonOptions) => {
      await run(options, async (io) => {
        const { logout } = await import("../actions/login.ts");
        return await logout(options, io);
      });
    });
}

export function whoamiCommand(command: Command): void {
  talksToShop(command)
    .addHelpText("after", examples("whoami", "whoami --profile production --json"))
    .action(async (options: CommonOptions) => {
      await run(options, async (io) => {
        const { whoami } = await import("../actions/login.ts");
        return await whoami(options, io);
      });
    });
}
