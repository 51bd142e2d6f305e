import { authContract } from "../../services/auth/auth.contract.ts";
import type { Io } from "../lib/io.ts";
import { openSession, type ShopOptions } from "../lib/session.ts";

/** Who sits at the REPL. */
export interface Identity {
  /** `admin@molecart.local (admin)`, `a guest` */
  says: string;
  isAdmin: boolean;
  /** An access token that is good now; null for a guest. @throws NotLoggedIn once the session has ended */
  token(): Promise<string | null>;
  close(): Promise<void>;
}

export const GUEST: Identity = {
  says: "a guest",
  isAdmin: false,
  token: async () => null,
  close: async () => undefined,
};

/** Logs in as every command does: at the shop's gateway. @throws ShopUnreachable, NotLoggedIn */
export async function logIn(options: ShopOptions, io: Io): Promise<Identity> {
  const { client, token, close } = await openSession(options, io);
  try {
    const { user } = await client.request("GET", "/api/auth/verify", authContract.actions.verify.result);
    return { says: `${user.email} (${user.role})`, isAdmin: user.role === "admin", token, close };
  } catch (error) {
    await close();
    throw error;
  }
}
