import moleculer, { type ServiceBroker } from "moleculer";
import { run } from "../lib/run.ts";
import { openLocalRepl } from "./local.ts";

/**
 * `npm run dev`: the shop in this process, as `npm start` runs it, and a REPL on it. Its calls have the permissions of
 * the login that the CLI finds, on this machine the shop's admin's, or of nobody with `--guest`.
 */
const isGuest = process.argv.includes("--guest");
// The one of the `moleculer-runner` program; the module's own named export is another, which takes no factories of services.
const runner = new moleculer.Runner();
const broker = await runner.start([
  ...process.argv.slice(0, 2),
  "--config",
  "moleculer.config.ts",
  "services/*/*.service.ts",
]);
if (broker) await open(broker);

async function open(broker: ServiceBroker): Promise<void> {
  await run({}, async (io) => {
    try {
      return await openLocalRepl(broker, { guest: isGuest }, io);
    } finally {
      await broker.stop();
    }
  });
  // What is left open, such as the metrics of this process, is nobody's now.
  process.exit();
}
