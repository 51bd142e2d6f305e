import { Server } from "node:http";
import moleculer, { type ServiceBroker } from "moleculer";
import { call } from "../../lib/call.ts";
import { CliError } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { run } from "../lib/run.ts";
import { GUEST, type Identity, logIn } from "./identity.ts";
import { ownEnv, runRepl } from "./repl.ts";

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
      return await openRepl(broker, io);
    } finally {
      await broker.stop();
    }
  });
  // What is left open, such as the metrics of this process, is nobody's now.
  process.exit();
}

async function openRepl(broker: ServiceBroker, io: Io): Promise<number> {
  const url = urlOf(broker, io.env);
  const identity = isGuest ? GUEST : await logInHere(url, io);
  try {
    io.say(`At ${url}, as ${identity.says}.\nhelp lists what there is, exit stops the shop.`);
    const { says, isAdmin } = identity;
    const identify = async () => {
      const token = await identity.token();
      return {
        user: token === null ? null : await call({ broker, name: "repl" }, "auth.resolve", { token }),
      };
    };
    const guest = identity === GUEST;
    return await runRepl(
      { broker, identify, says, reach: "local", isAdmin, env: ownEnv(url, { guest }, io.env) },
      io,
    );
  } finally {
    await identity.close();
  }
}

/** A shop that nobody can log in to is still one to look into. */
async function logInHere(url: string, io: Io): Promise<Identity> {
  try {
    return await logIn({ url }, io);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    io.say([error.message, error.next ?? ""].join(" ").trim());
    return GUEST;
  }
}

function urlOf(broker: ServiceBroker, env: NodeJS.ProcessEnv): string {
  const gateway: unknown = broker.getLocalService("gateway");
  const server = typeof gateway === "object" && gateway && "server" in gateway ? gateway.server : undefined;
  const listens = server instanceof Server ? server.address() : null;
  if (typeof listens !== "object" || !listens) return `http://127.0.0.1:${env.PORT || "8080"}`;
  const { address, family, port } = listens;
  if (address === "0.0.0.0" || address === "::") return `http://127.0.0.1:${port}`;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}
