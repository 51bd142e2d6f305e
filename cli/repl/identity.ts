import type { ServiceBroker } from "moleculer";
import { Check } from "typebox/value";
import { InvalidCredentials, InvalidToken, isFailure } from "../../lib/errors.ts";
import type { Principal } from "../../services/auth/auth.contract.ts";
import { Session as Login } from "../../services/auth/auth.contract.ts";
import { readAccessToken } from "../../services/auth/tokens.ts";
import { CliError, NotLoggedIn } from "../lib/errors.ts";
import type { Credentials } from "../lib/session.ts";

/** Who sits at the REPL. */
export interface Identity {
  /** `admin@molecart.local (admin)`, `a guest` */
  says: string;
  /** Null for a guest, and once the session has ended. */
  principal(): Promise<Principal | null>;
  close(): Promise<void>;
}

export const GUEST: Identity = {
  says: "a guest",
  principal: async () => null,
  close: async () => undefined,
};

/** ms after which a session is asked for again whether it still lives. */
const RENEW = 60_000;

/**
 * Logs in at the shop's `auth`, and has the session renewed as long as it is used: who is shut out there is a guest here
 * within a minute.
 * @throws NotLoggedIn for a wrong pair
 */
export async function logInByBroker(broker: ServiceBroker, credentials: Credentials): Promise<Identity> {
  let login: Login | null = await ask(broker, "auth.login", credentials).catch((error: unknown) => {
    if (!isFailure(error, InvalidCredentials)) throw error;
    throw new NotLoggedIn(
      `The shop doesn't know ${credentials.email} with this password.`,
      "Set ADMIN_EMAIL and ADMIN_PASSWORD, or come as a guest with --guest.",
    );
  });
  let renewAt = performance.now() + RENEW;
  let renewal: Promise<void> | undefined;
  const renew = async (refresh_token: string) => {
    try {
      login = await ask(broker, "auth.refresh", { refresh_token });
    } catch (error) {
      if (isFailure(error, InvalidToken)) login = null;
    }
    renewAt = performance.now() + RENEW;
    renewal = undefined;
  };
  const principal = async () => {
    if (login && performance.now() > renewAt) {
      // However many calls wait for it: the refresh token is good for one use.
      renewal ??= renew(login.refresh_token);
      await renewal;
    }
    return login ? readAccessToken(login.access_token) : null;
  };
  return {
    says: `${login.user.email} (${login.user.role})`,
    principal,
    async close() {
      const user = login ? readAccessToken(login.access_token) : null;
      login = null;
      if (user)
        await broker.call("auth.logout", {}, { meta: { user }, timeout: 2000 }).catch(() => undefined);
    },
  };
}

async function ask(
  broker: ServiceBroker,
  action: "auth.login" | "auth.refresh",
  params: object,
): Promise<Login> {
  const answer = await broker.call<unknown, object>(action, params);
  if (Check(Login, answer)) return answer;
  throw new CliError(`${action} answered in a shape that this version of molecart doesn't know.`);
}
