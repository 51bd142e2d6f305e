import moleculer, { type ServiceBroker } from "moleculer";
import { ownEnv } from "../actions/repl.ts";
import { run } from "../lib/run.ts";
import { findCredentials } from "../lib/session.ts";
import { GUEST, logInByBroker } from "./identity.ts";
import { runRepl } from "./repl.ts";

/**
 * `npm run dev`: the shop in this process, as `npm start` runs it, and a REPL on it. Its calls have the permissions of the
 * shop's admin, or none with `--guest`.
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
    const url = `http://${io.env.HOST || "127.0.0.1"}:${io.env.PORT || "8080"}`;
    try {
      const identity = isGuest ? GUEST : await logInByBroker(broker, await findCredentials(io.env, url));
      io.say(`${url} · calls are made as ${identity.says} · help lists what there is, exit stops the shop`);
      try {
        return await runRepl(
          { broker, identity, isNode: true, env: ownEnv(url, { guest: isGuest }, io) },
          io,
        );
      } finally {
        await identity.close();
      }
    } finally {
      await broker.stop();
    }
  });
  // What is left open, such as the metrics of this process, is nobody's now.
  process.exit();
}
