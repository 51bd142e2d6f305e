import { Command, CommanderError } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { EXIT } from "./lib/errors.ts";
import { allowClosedPipe } from "./lib/io.ts";
import { examples, prose } from "./lib/options.ts";
import { type Surroundings, within } from "./lib/run.ts";

interface Entry {
  name: string;
  summary: string;
  /** Gives the command its options and what it does. Loaded for the command that is run, and no other. */
  load: () => Promise<(command: Command) => unknown>;
}

/** In the order of the help. What a command does is imported only when it is run: `--help` must not wait for it. */
const COMMANDS: readonly Entry[] = [
  {
    name: "health",
    summary: "whether the shop can sell, and how its parts are",
    load: async () => (await import("./commands/health.ts")).healthCommand,
  },
  {
    name: "top",
    summary: "what the shop does, live: calls, latencies, errors, orders, revenue, what is stuck",
    load: async () => (await import("./commands/top.ts")).topCommand,
  },
  {
    name: "order",
    summary: "place, follow, pay, ship, cancel and refund orders; send synthetic customers",
    load: async () => (await import("./commands/order.ts")).orderCommand,
  },
  {
    name: "products",
    summary: "list, show, change, import and export the catalogue",
    load: async () => (await import("./commands/products.ts")).productsCommand,
  },
  {
    name: "stock",
    summary: "list, show, set, import and export what is on hand",
    load: async () => (await import("./commands/stock.ts")).stockCommand,
  },
  {
    name: "users",
    summary: "list, show, change and export accounts",
    load: async () => (await import("./commands/users.ts")).usersCommand,
  },
  {
    name: "sagas",
    summary: "checkouts and cancellations under way or parked: list, show, redrive",
    load: async () => (await import("./commands/sagas.ts")).sagasCommand,
  },
  {
    name: "events",
    summary: "durable events that a service did not take: list, show, redrive",
    load: async () => (await import("./commands/events.ts")).eventsCommand,
  },
  {
    name: "seed",
    summary: "fill the shop with made-up products, users and orders, the same for the same seed",
    load: async () => (await import("./commands/seed.ts")).seedCommand,
  },
  {
    name: "verify",
    summary: "prove on the live data that nothing was oversold, lost or charged twice",
    load: async () => (await import("./commands/verify.ts")).verifyCommand,
  },
  {
    name: "backup",
    summary: "all stores of the shop into one archive, while it runs or not",
    load: async () => (await import("./commands/backup.ts")).backupCommand,
  },
  {
    name: "restore",
    summary: "an archive into the stores of a shop that is stopped",
    load: async () => (await import("./commands/backup.ts")).restoreCommand,
  },
  {
    name: "logs",
    summary: "what the nodes on this machine have logged, together by time",
    load: async () => (await import("./commands/logs.ts")).logsCommand,
  },
  {
    name: "migrate",
    summary: "the databases' schemas: what is applied, apply, take back",
    load: async () => (await import("./commands/migrate.ts")).migrateCommand,
  },
  {
    name: "chaos",
    summary:
      "kill, freeze and cut a shop on this machine while customers order, and see that nothing is lost",
    load: async () => (await import("./commands/chaos.ts")).chaosCommand,
  },
  {
    name: "repl",
    summary: "call any action by hand, as yourself: over REST, or as a node of the cluster",
    load: async () => (await import("./commands/repl.ts")).replCommand,
  },
  {
    name: "doctor",
    summary: "find what is wrong on this machine, and say what to do",
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
  {
    name: "login",
    summary: "log in to a shop and keep the login under a name",
    load: async () => (await import("./commands/login.ts")).loginCommand,
  },
  {
    name: "logout",
    summary: "end a kept login",
    load: async () => (await import("./commands/login.ts")).logoutCommand,
  },
  {
    name: "whoami",
    summary: "who you are to the shop",
    load: async () => (await import("./commands/login.ts")).whoamiCommand,
  },
  {
    name: "config",
    summary: "show the configuration that a shop started here would have",
    load: async () => (await import("./commands/config.ts")).configCommand,
  },
  {
    name: "open",
    summary: "open the shop's pages in the browser",
    load: async () => (await import("./commands/open.ts")).openCommand,
  },
  {
    name: "completion",
    summary: "print a script that completes molecart's commands in your shell",
    load: async () => (await import("./commands/completion.ts")).completionCommand,
  },
];

/** @param wanted says which commands are given their options */
export async function buildProgram(
  wanted: (name: string) => boolean,
  { stdout, stderr }: Pick<Surroundings, "stdout" | "stderr"> = process,
): Promise<Command> {
  const program = new Command("molecart")
    .description("Run a Molecart shop from the terminal: screens for people, lines and JSON for scripts.")
    .version(packageJson.version)
    .showHelpAfterError("(add --help for what there is)")
    .addHelpText("after", examples("health --watch", "order place", "order flow --count 200 --json"))
    .addHelpText(
      "after",
      prose(
        "The shop is the one at --url, MOLECART_URL, the last login's, or this machine's at PORT.\n" +
          "Exit codes: 0 ok, 1 failed, 2 misused or cancelled, 4 not logged in.",
      ),
    )
    // One line for what is wrong and what may have been meant, one for the next step.
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: (text, write) => write(text.replace("\n(Did", " (Did")),
    })
    .exitOverride();
  for (const { name, summary, load } of COMMANDS) {
    const command = program.command(name).description(summary);
    if (wanted(name)) (await load())(command);
  }
  return program;
}

/** `help order place` as `order place --help`: commander's own takes one name, and a wrong one without a word. */
function withoutHelp([node = "", script = "", first, ...names]: readonly string[]): string[] {
  const isKnown = COMMANDS.some(({ name }) => name === names[0]);
  if (first !== "help" || names.length === 0)
    return [node, script, ...(first === undefined ? [] : [first]), ...names];
  return isKnown ? [node, script, ...names, "--help"] : [node, script, ...names];
}

/** Runs the command line there and sets its exit code. */
export async function main(line: readonly string[], where: Surroundings = process): Promise<void> {
  const argv = withoutHelp(line);
  // The program itself has no options that take a value: the first of the other words names the command.
  const words = argv.slice(2).filter((word) => !word.startsWith("-"));
  const program = await buildProgram((one) => one === words[0], where);
  allowClosedPipe(where);
  // Who doesn't know yet what there is asked for nothing wrong.
  if (argv.length === 2) return program.outputHelp();
  try {
    await within(where, async () => await program.parseAsync(argv));
  } catch (error) {
    // Commander has said what is wrong, or printed the help that was asked for.
    if (!(error instanceof CommanderError)) throw error;
    where.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.misuse;
  }
}
