import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KeptSecrets } from "./config.ts";

const FILE = "secrets.json";

/**
 * The secrets of an embedded shop: made at its first start and kept in `dataDir`, readable by its owner only.
 * @returns them, and whether they are new (the admin's password is then printed, once)
 */
export async function keptSecrets(dataDir: string): Promise<{ secrets: KeptSecrets; isNew: boolean }> {
  await mkdir(dataDir, { recursive: true });
  const kept = await readSecrets(dataDir);
  if (kept) return { secrets: kept, isNew: false };
  const secrets: KeptSecrets = {
    JWT_SECRET: randomBytes(48).toString("base64url"),
    SANDBOX_WEBHOOK_SECRET: randomBytes(32).toString("base64url"),
    ADMIN_EMAIL: "admin@molecart.local",
    ADMIN_PASSWORD: randomBytes(12).toString("base64url"),
  };
  await writeSecrets(dataDir, secrets);
  return { secrets, isNew: true };
}

/** Has an embedded shop keep these from its next start on. */
export async function writeSecrets(dataDir: string, secrets: KeptSecrets): Promise<void> {
  const path = join(dataDir, FILE);
  // Written aside and renamed: a crash in between leaves no half a file.
  await writeFile(`${path}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** What an embedded shop keeps in `dataDir`, or null before its first start. The CLI logs in with it. */
export async function readSecrets(dataDir: string): Promise<KeptSecrets | null> {
  let text: string;
  try {
    text = await readFile(join(dataDir, FILE), "utf8");
  } catch (error) {
    if (Object(error).code === "ENOENT") return null;
    throw error;
  }
  return secretsIn(text, join(dataDir, FILE));
}

/** @param where the text comes from, for the message @throws Error if it lacks one of them */
export function secretsIn(text: string, where: string): KeptSecrets {
  const { JWT_SECRET, SANDBOX_WEBHOOK_SECRET, ADMIN_EMAIL, ADMIN_PASSWORD } = parsed(text);
  if (!JWT_SECRET || !SANDBOX_WEBHOOK_SECRET || !ADMIN_EMAIL || !ADMIN_PASSWORD)
    throw new Error(`${where} is incomplete: restore it, or delete it to have new secrets made.`);
  return { JWT_SECRET, SANDBOX_WEBHOOK_SECRET, ADMIN_EMAIL, ADMIN_PASSWORD };
}

function parsed(text: string): Partial<KeptSecrets> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}
