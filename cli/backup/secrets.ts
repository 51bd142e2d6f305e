import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import Type from "typebox";
import { Check } from "typebox/value";
import { CliError, Misuse } from "../lib/errors.ts";

/** scrypt's work factor: about 0.1 s and 32 MB for each guess. */
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const MIN_LENGTH = 12;

const Sealed = Type.Object({
  salt: Type.String(),
  iv: Type.String(),
  tag: Type.String(),
  data: Type.String(),
});

/**
 * The passphrase of `--passphrase-file`, else of MOLECART_BACKUP_PASSPHRASE; undefined without either.
 * @throws Misuse if the file can't be read or the passphrase is short
 */
export async function passphraseOf(
  file: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const text = file
    ? await readFile(file, "utf8").catch(() => {
        throw new Misuse(`${file} can't be read.`, "Name a file whose first line is the passphrase.");
      })
    : env.MOLECART_BACKUP_PASSPHRASE;
  if (!text) return undefined;
  const [passphrase = ""] = text.split(/\r?\n/);
  if (passphrase.length < MIN_LENGTH)
    throw new Misuse(
      `The passphrase has fewer than ${MIN_LENGTH} characters.`,
      "Take a longer one: it guards every secret of the shop.",
    );
  return passphrase;
}

/** Encrypts by AES-256-GCM under a key that scrypt makes of the passphrase. @returns one line of JSON */
export function seal(text: string, passphrase: string): string {
  const salt = randomBytes(16);
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", scryptSync(passphrase, salt, 32, COST), iv);
  const data = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  const hex = (bytes: Buffer) => bytes.toString("hex");
  return `${JSON.stringify({ salt: hex(salt), iv: hex(iv), tag: hex(cipher.getAuthTag()), data: hex(data) })}\n`;
}

/** @throws CliError for another passphrase */
export function unseal(line: string, passphrase: string): string {
  const sealed: unknown = JSON.parse(line);
  try {
    if (!Check(Sealed, sealed)) throw new Error("not sealed by us");
    const bytes = (hex: string) => Buffer.from(hex, "hex");
    const key = scryptSync(passphrase, bytes(sealed.salt), 32, COST);
    const cipher = createDecipheriv("aes-256-gcm", key, bytes(sealed.iv)).setAuthTag(bytes(sealed.tag));
    return cipher.update(bytes(sealed.data), undefined, "utf8") + cipher.final("utf8");
  } catch {
    throw new CliError("The passphrase doesn't open the secrets of this backup.", {
      next: "Give the one it was made with, or none: then the secrets are left out. Nothing was changed.",
    });
  }
}
