import { text } from "node:stream/consumers";
import { Message } from "../../lib/schema.ts";
import { authContract } from "../../services/auth/auth.contract.ts";
import { ask } from "../lib/ask.ts";
import { createClient } from "../lib/client.ts";
import { CliError, EXIT, Misuse, NotLoggedIn, ShopRefused } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { Profiles } from "../lib/profiles.ts";
import {
  type Credentials,
  findCredentials,
  findShop,
  logIn,
  profileOf,
  type ShopOptions,
  withSession,
} from "../lib/session.ts";

export interface LoginOptions extends CommonOptions {
  email?: string;
  passwordStdin?: boolean;
}

const DEFAULT_PROFILE = "default";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Logs in and keeps the tokens, never the password, under the profile's name. @returns the exit code */
export async function login(options: LoginOptions, io: Io): Promise<number> {
  const name = options.profile || io.env.MOLECART_PROFILE || DEFAULT_PROFILE;
  if (!NAME.test(name))
    throw new Misuse(`${name} can't name a profile: letters, digits, dots and dashes can.`);
  const url = await urlOf(options, name, io);
  const client = createClient(url, { signal: io.signal });
  await client.reach();
  const answer = await logIn(client, await credentialsOf(options, url, io));
  const profiles = new Profiles(io.env);
  await profiles.change(async (file) => {
    file.profiles[name] = profileOf(url, answer);
    file.current = name;
  });
  const { email, role } = answer.user;
  if (options.json) io.printJson({ profile: name, url, email, role });
  else io.print(`Logged in to ${url} as ${email} (${role}), kept as the profile ${name}.`);
  return EXIT.ok;
}

/** A profile that is there keeps its shop, unless another is named. */
async function urlOf(options: ShopOptions, name: string, io: Io): Promise<string> {
  const known = (await new Profiles(io.env).read()).profiles[name];
  const url = options.url || (options.profile ? known?.url : undefined);
  const env = { ...io.env, MOLECART_PROFILE: undefined };
  return (await findShop({ url }, env)).url;
}

async function credentialsOf(options: LoginOptions, url: string, io: Io): Promise<Credentials> {
  if (options.passwordStdin) {
    if (!options.email) throw new Misuse("--password-stdin needs --email.");
    return { email: options.email, password: (await text(io.stdin)).replace(/\r?\n$/, "") };
  }
  if (!options.email) {
    const found = await findCredentials(io.env, url).catch((error: unknown) => {
      if (error instanceof CliError) return undefined;
      throw error;
    });
    if (found) return found;
  }
  if (!io.canAsk) {
    throw new Misuse("There is nobody to ask for the password.", "Give --email and --password-stdin.");
  }
  const email = options.email ?? (await ask(io, "Email: "));
  return { email, password: await ask(io, `Password of ${email}: `, { hidden: true }) };
}

/** Ends the session in the shop and forgets its tokens. @returns the exit code */
export async function logout(options: CommonOptions, io: Io): Promise<number> {
  const profiles = new Profiles(io.env);
  const file = await profiles.read();
  const name = options.profile || io.env.MOLECART_PROFILE || file.current;
  const profile = name ? file.profiles[name] : undefined;
  if (!name || !profile) {
    throw new NotLoggedIn(
      name ? `There is no profile ${name}.` : "You are not logged in.",
      "See `molecart login --help`.",
    );
  }
  const session = { ...options, url: undefined, profile: name };
  const ended = await withSession(session, io, async ({ client }) => {
    await client.request("POST", "/api/auth/logout", Message);
    return true;
  }).catch((error: unknown) => {
    // What has ended in the shop already is logged out; a shop that can't be asked keeps it until it ends by itself.
    if (error instanceof ShopRefused || error instanceof NotLoggedIn) return true;
    if (error instanceof CliError && error.exitCode === EXIT.failed) return false;
    throw error;
  });
  await profiles.change(async (now) => {
    delete now.profiles[name];
    if (now.current === name) now.current = Object.keys(now.profiles)[0] ?? null;
  });
  if (!ended) io.say(`${profile.url} could not be told: the session ends there by itself.`);
  if (options.json) io.printJson({ profile: name, url: profile.url, ended });
  else io.print(`Logged out of ${profile.url}: the profile ${name} is gone.`);
  return EXIT.ok;
}

/** @returns the exit code */
export async function whoami(options: CommonOptions, io: Io): Promise<number> {
  return await withSession(options, io, async ({ client, profile = null }) => {
    const { user } = await client.request("GET", "/api/auth/verify", authContract.actions.verify.result);
    const { id, email, name, role } = user;
    if (options.json) io.printJson({ url: client.url, profile, id, email, name, role });
    else io.print(`${email} (${role}) at ${client.url}${profile === null ? "" : `, profile ${profile}`}`);
    return EXIT.ok;
  });
}
