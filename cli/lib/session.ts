import { readSecrets } from "../../lib/embedded.ts";
import { withFiles } from "../../lib/env-files.ts";
import { Message } from "../../lib/schema.ts";
import { Session as Login } from "../../services/auth/auth.contract.ts";
import type { User } from "../../services/users/users.contract.ts";
import { type Client, createClient } from "./client.ts";
import { CliError, Misuse, NotLoggedIn, ShopRefused } from "./errors.ts";
import type { Io } from "./io.ts";
import { type Profile, Profiles } from "./profiles.ts";

export interface ShopOptions {
  /** Where the shop is. */
  url?: string;
  /** The name of a login. */
  profile?: string;
  /** ms that a request of the session waits, where nothing else is said; default 20,000 */
  timeout?: number;
}

export interface Credentials {
  email: string;
  password: string;
}

/** A shop that lets us in. Its client carries a token that is good, however long the command takes. */
export interface Session {
  client: Client;
  /** An access token that is good now. @throws NotLoggedIn once the session has ended */
  token(): Promise<string>;
  /** Whose it is. */
  email: string;
  /** Undefined for a profile's: ask the shop. */
  user: User | undefined;
  /** The profile it comes from, if any. */
  profile: string | undefined;
  /** Ends what was begun for this command alone. */
  close(): Promise<void>;
}

/** s before its end at which an access token is renewed. */
const MARGIN = 30;
/** ms, less than the profiles' lock is held for. */
const REFRESH_TIMEOUT = 8000;

/** Where the shop is, and who said so. */
export interface Place {
  url: string;
  from: string;
  /** The profile that goes with it, if any. */
  name: string | undefined;
  profile: Profile | undefined;
}

/**
 * The shop that a command means: `--url`, else the profile named by `--profile` or `MOLECART_PROFILE`, else
 * `MOLECART_URL`, else the profile last logged in to, else this machine at `PORT`.
 * @throws Misuse
 */
export async function findShop(options: ShopOptions, env: NodeJS.ProcessEnv): Promise<Place> {
  const { current, profiles } = await new Profiles(env).read();
  const wanted = options.profile || env.MOLECART_PROFILE;
  const chosen = wanted ? profiles[wanted] : undefined;
  if (wanted && !chosen) {
    throw new Misuse(
      `There is no profile ${wanted}.`,
      `Make it with \`molecart login --profile ${wanted}\`.`,
    );
  }
  const recent = current === null ? undefined : profiles[current];
  const [url, from] = options.url
    ? [options.url, "--url"]
    : chosen
      ? [chosen.url, "the profile"]
      : env.MOLECART_URL
        ? [env.MOLECART_URL, "MOLECART_URL"]
        : recent
          ? [recent.url, "the profile last logged in to"]
          : [`http://127.0.0.1:${env.PORT || "8080"}`, env.PORT ? "PORT" : "the default"];
  if (!isOrigin(url)) {
    const shown = url.replace(/\/\/[^/]*@/, "//…@");
    throw new Misuse(
      `${shown} is not an address like http://127.0.0.1:8080.`,
      `It is that of ${from}: name http or https, a host and a port, and nothing before or behind them.`,
    );
  }
  // A token goes to the shop that gave it and to no other.
  const isOf = (profile: Profile) =>
    URL.canParse(profile.url) && new URL(profile.url).origin === new URL(url).origin;
  if (wanted && chosen && !isOf(chosen)) {
    throw new Misuse(`The profile ${wanted} is of ${chosen.url}, not of ${url}.`);
  }
  const name = wanted || (current !== null && recent && isOf(recent) ? current : undefined);
  return { url, from, name, profile: name === undefined ? undefined : profiles[name] };
}

/** A shop stands at the root of its host: what stands behind that, or before it, would be left out unnoticed. */
function isOrigin(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, origin, href } = new URL(url);
  return /^https?:$/.test(protocol) && href === `${origin}/`;
}

/** For what everybody may ask. @throws ShopUnreachable within about 2 s */
export async function openShop(options: ShopOptions, io: Io): Promise<Client> {
  const { url } = await findShop(options, io.env);
  const client = createClient(url, { signal: io.signal });
  await client.reach();
  return client;
}

/**
 * Logs in: with the profile that was named, else ADMIN_EMAIL and ADMIN_PASSWORD, else the profile of this shop, else,
 * on this machine, what an embedded shop keeps in DATA_DIR.
 * @throws ShopUnreachable within about 2 s, NotLoggedIn without good credentials
 */
export async function openSession(options: ShopOptions, io: Io): Promise<Session> {
  const place = await findShop(options, io.env);
  const { timeout } = options;
  const anonymous = createClient(place.url, { signal: io.signal, timeout });
  await anonymous.reach();
  const named = options.profile || io.env.MOLECART_PROFILE;
  const { name, profile } = place;
  const hasCredentials = adminIn(io.env) !== undefined;
  if (name !== undefined && profile && (named || !hasCredentials)) {
    const token = () => profileToken(anonymous, io.env, name);
    const client = createClient(place.url, { signal: io.signal, timeout, token });
    const { email } = profile;
    return { client, token, email, user: undefined, profile: name, close: async () => undefined };
  }
  return await loginSession(anonymous, await findCredentials(io.env, place.url), io, timeout);
}

/** Runs `work` with a session and ends it. */
export async function withSession<T>(
  options: ShopOptions,
  io: Io,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(options, io);
  try {
    return await work(session);
  } catch (error) {
    // A token that is not over yet, and that the shop takes no more: its session was ended there.
    if (session.profile !== undefined && error instanceof ShopRefused && error.status === 401)
      throw expired(session.profile);
    throw error;
  } finally {
    await session.close();
  }
}

/** A session for this command alone: nothing of it is kept, here or in the shop. */
async function loginSession(
  anonymous: Client,
  credentials: Credentials,
  io: Io,
  timeout: number | undefined,
): Promise<Session> {
  let login = await logIn(anonymous, credentials);
  let renewal: Promise<Login> | undefined;
  let expiresAt = expiryOf(login);
  const token = async () => {
    if (!isOver(expiresAt)) return login.access_token;
    // However many requests wait for it: the refresh token is good for one use.
    renewal ??= refresh(anonymous, login.refresh_token).finally(() => {
      renewal = undefined;
    });
    login = await renewal;
    expiresAt = expiryOf(login);
    return login.access_token;
  };
  const { email } = login.user;
  const client = createClient(anonymous.url, { signal: io.signal, timeout, token });
  const close = async () => {
    // Without the signal: a cancelled command logs out too. If that fails, the session ends by itself.
    await createClient(anonymous.url)
      .request("POST", "/api/auth/logout", Message, { token: login.access_token, timeout: 2000 })
      .catch(() => undefined);
  };
  return { client, token, email, user: login.user, profile: undefined, close };
}

/** @throws NotLoggedIn for a wrong pair */
export async function logIn(client: Client, credentials: Credentials): Promise<Login> {
  try {
    return await client.request("POST", "/api/auth/login", Login, { body: credentials });
  } catch (error) {
    if (!(error instanceof ShopRefused) || error.status !== 401) throw error;
    throw new NotLoggedIn(
      `The shop at ${client.url} doesn't know ${credentials.email} with this password.`,
      "Log in with `molecart login`, set ADMIN_EMAIL and ADMIN_PASSWORD, or DATA_DIR to where the shop keeps its data.",
    );
  }
}

/** The profile as the answer to a login or a refresh makes it. */
export function profileOf(url: string, login: Login): Profile {
  const { access_token, refresh_token, user } = login;
  return { url, email: user.email, access_token, refresh_token, expires_at: expiryOf(login) };
}

const expiryOf = ({ expires_in }: Login) => new Date(Date.now() + expires_in * 1000).toISOString();
const isOver = (expiresAt: string) => Date.parse(expiresAt) - MARGIN * 1000 < Date.now();

/**
 * An access token of a profile, renewed if it is about to end. Whoever finds it renewed by another process meanwhile
 * uses that one.
 */
async function profileToken(anonymous: Client, env: NodeJS.ProcessEnv, name: string): Promise<string> {
  const profiles = new Profiles(env);
  const known = (await profiles.read()).profiles[name];
  if (known && !isOver(known.expires_at)) return known.access_token;
  return await profiles.change(async (file) => {
    const profile = file.profiles[name];
    if (!profile) throw expired(name);
    if (!isOver(profile.expires_at)) return profile.access_token;
    try {
      const renewed = profileOf(profile.url, await refresh(anonymous, profile.refresh_token));
      file.profiles[name] = renewed;
      return renewed.access_token;
    } catch (error) {
      if (error instanceof ShopRefused && error.status === 401) throw expired(name);
      throw error;
    }
  });
}

/** Not by Ctrl-C: a pair that the shop gave and nobody took would be lost. */
async function refresh({ url }: Client, refresh_token: string): Promise<Login> {
  return await createClient(url).request("POST", "/api/auth/refresh", Login, {
    body: { refresh_token },
    timeout: REFRESH_TIMEOUT,
  });
}

function expired(name: string): NotLoggedIn {
  return new NotLoggedIn(
    `The login of the profile ${name} has ended.`,
    `Log in again with \`molecart login --profile ${name}\`.`,
  );
}

/** @throws NotLoggedIn if there are none for this shop */
export async function findCredentials(env: NodeJS.ProcessEnv, url: string): Promise<Credentials> {
  const admin = adminIn(env);
  if (admin) return admin;
  const next = "Log in with `molecart login`, or set ADMIN_EMAIL and ADMIN_PASSWORD.";
  // This machine's own admin password is no other machine's business.
  if (!isLocal(url)) throw new NotLoggedIn(`You are not logged in to ${url}.`, next);
  const dataDir = env.DATA_DIR || ".data";
  const secrets = await readSecrets(dataDir).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${dataDir}/secrets.json can't be read: ${error.message}`, { next });
  });
  if (secrets) return { email: secrets.ADMIN_EMAIL, password: secrets.ADMIN_PASSWORD };
  throw new NotLoggedIn(
    `You are not logged in: there is no profile of this shop, and neither ADMIN_EMAIL and ADMIN_PASSWORD nor ${dataDir}/secrets.json.`,
    `${next} Or run the command where the shop was started.`,
  );
}

/** ADMIN_EMAIL and ADMIN_PASSWORD, or what their `_FILE` names, as a container is handed secrets. @throws CliError */
function adminIn(env: NodeJS.ProcessEnv): Credentials | undefined {
  const problems: string[] = [];
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = withFiles(
    env,
    ["ADMIN_EMAIL", "ADMIN_PASSWORD"],
    problems,
  );
  if (problems.length > 0) throw new Misuse(`${problems.join("; ")}.`);
  return email && password ? { email, password } : undefined;
}

export function isLocal(url: string): boolean {
  const { hostname } = new URL(url);
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}
