import { readSecrets } from "../../lib/embedded.ts";
import { Session } from "../../services/auth/auth.contract.ts";
import { type Client, createClient } from "./client.ts";
import { Misuse, NotLoggedIn, ShopRefused } from "./errors.ts";

export interface ShopOptions {
  /** Where the shop is; default: `MOLECART_URL`, else this machine at `PORT`. */
  url?: string;
}

export interface AdminSession {
  client: Client;
  token: string;
}

/** The address of the shop that a command means. @throws Misuse */
export function shopUrl(options: ShopOptions, env: NodeJS.ProcessEnv): string {
  const url = options.url || env.MOLECART_URL || `http://127.0.0.1:${env.PORT || "8080"}`;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new Misuse(`${url} is not an address like http://127.0.0.1:8080.`);
  }
  return url;
}

/**
 * Logs in as the shop's admin.
 * @throws ShopUnreachable within about 2.5 s, NotLoggedIn without good credentials
 */
export async function adminSession(options: ShopOptions, env: NodeJS.ProcessEnv): Promise<AdminSession> {
  const client = createClient(shopUrl(options, env));
  await client.reach();
  const credentials = await adminCredentials(env);
  try {
    const session = await client.request("POST", "/api/auth/login", Session, { body: credentials });
    return { client, token: session.access_token };
  } catch (error) {
    if (!(error instanceof ShopRefused) || error.status !== 401) throw error;
    throw new NotLoggedIn(
      `The shop at ${client.url} doesn't know ${credentials.email} with this password.`,
      "Set ADMIN_EMAIL and ADMIN_PASSWORD to its admin's, or DATA_DIR to where it keeps its data.",
    );
  }
}

async function adminCredentials(env: NodeJS.ProcessEnv): Promise<{ email: string; password: string }> {
  const { ADMIN_EMAIL, ADMIN_PASSWORD } = env;
  if (ADMIN_EMAIL && ADMIN_PASSWORD) return { email: ADMIN_EMAIL, password: ADMIN_PASSWORD };
  const dataDir = env.DATA_DIR || ".data";
  const secrets = await readSecrets(dataDir);
  if (secrets) return { email: secrets.ADMIN_EMAIL, password: secrets.ADMIN_PASSWORD };
  throw new NotLoggedIn(
    `There are no admin's credentials: neither ADMIN_EMAIL and ADMIN_PASSWORD nor ${dataDir}/secrets.json.`,
    "Set ADMIN_EMAIL and ADMIN_PASSWORD, or run the command where the shop was started.",
  );
}
