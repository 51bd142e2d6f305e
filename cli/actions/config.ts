import { ConfigError, isEmbedded, loadConfig } from "../../lib/config.ts";
import { CliError, EXIT } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { table } from "../lib/output.ts";
import { Profiles } from "../lib/profiles.ts";
import { findShop } from "../lib/session.ts";

const MASK = "********";
const SECRET = /SECRET|PASSWORD$|TOKEN|_KEY$/;
/** Stands where an embedded shop has a value of its own making. */
const KEPT = "(kept in DATA_DIR)";

/** Shows what the environment configures here. @returns the exit code */
export async function showConfig(options: { json?: boolean }, io: Io): Promise<number> {
  const { url, from, name = null } = await findShop({}, io.env);
  const settings = settingsOf(io.env);
  const { path } = new Profiles(io.env);
  const cli = { url, url_from: from, profile: name, profiles: path };
  if (options.json) io.printJson({ cli, settings });
  else {
    const rows = [...Object.entries(cli), ...Object.entries(settings)];
    for (const line of table(
      ["setting", "value"],
      rows.map(([key, value]) => [key, shown(value)]),
    ))
      io.print(line);
  }
  return EXIT.ok;
}

/** Each setting of a shop with this environment; secrets are masked. @throws CliError with all that is wrong */
export function settingsOf(env: NodeJS.ProcessEnv): Record<string, unknown> {
  const kept = { JWT_SECRET: KEPT, SANDBOX_WEBHOOK_SECRET: KEPT, ADMIN_EMAIL: KEPT, ADMIN_PASSWORD: KEPT };
  try {
    const config = isEmbedded(env) ? loadConfig(env, { databaseUrl: "", secrets: kept }) : loadConfig(env);
    return Object.fromEntries(
      Object.entries(config).flatMap(([key, value]) =>
        typeof value === "function" ? [] : [[key, masked(key, value)]],
      ),
    );
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CliError(error.message, { next: "docs/configuration.md says what each takes." });
  }
}

function masked(key: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => masked(key, one));
  // Headers: what a collector is to know its sender by.
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.keys(value).map((name) => [name, MASK]));
  if (typeof value !== "string" || value === "" || value === KEPT) return value;
  if (SECRET.test(key)) return MASK;
  // It may be without a protocol, and a user without a password is a token.
  if (key === "NATS_URL") return value.replace(/^([a-z]+:\/\/)?([^:@]*:)?[^@]*@/i, `$1$2${MASK}@`);
  // The password of a URL, also of one with several hosts.
  return value.replace(/^([a-z0-9+.-]+:\/\/[^:/@]*):.*@/i, `$1:${MASK}@`);
}

function shown(value: unknown): string {
  if (value === undefined || value === null || value === "") return "-";
  if (typeof value !== "object") return String(value);
  const parts = Array.isArray(value) ? value : Object.entries(value).map(([name, one]) => `${name}=${one}`);
  return parts.join(",") || "-";
}
