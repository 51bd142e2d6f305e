import { Server } from "node:http";
import type { ServiceBroker } from "moleculer";
import { call } from "../../lib/call.ts";
import { urlOf } from "../../services/gateway/http-server.ts";
import { CliError } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { GUEST, type Identity, logIn } from "./identity.ts";
import { ownEnv, runRepl } from "./repl.ts";

/**
 * A REPL in the shop's own process. Each call is made as the login whose token `auth` resolves for it: one that was logged
 * out, or shut out, is nobody from the next call on.
 * @returns the exit code
 */
export async function openLocalRepl(
  broker: ServiceBroker,
  options: { guest: boolean },
  io: Io,
): Promise<number> {
  const url = shopUrl(broker, io.env);
  const identity = options.guest ? GUEST : await logInHere(url, io);
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

function shopUrl(broker: ServiceBroker, env: NodeJS.ProcessEnv): string {
  const gateway: unknown = broker.getLocalService("gateway");
  const server = typeof gateway === "object" && gateway && "server" in gateway ? gateway.server : undefined;
  return (server instanceof Server && urlOf(server)) || `http://127.0.0.1:${env.PORT || "8080"}`;
}
