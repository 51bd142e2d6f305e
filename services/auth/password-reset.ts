import { InvalidToken, isDefinite, isFailure, Unavailable } from "../../lib/errors.ts";
import { type KeyValueStore, update } from "../../lib/stores/key-value.ts";
import { formatToken, hashOf, matches, newSecret, parseToken } from "./tokens.ts";

/** Under `reset:<user id>`: a new token replaces the one before. */
interface ResetRecord {
  secret_hash: string;
  /** ms */
  expires_at: number;
}

/** s: how long a reset's token is good. */
const TTL = 3600;

const resetKey = (userId: string) => `reset:${userId}`;

/** Makes the one token that may set a new password for the user: opaque, good for an hour, only its hash is kept. */
export async function issueReset(kv: KeyValueStore, userId: string): Promise<string> {
  const secret = newSecret();
  const record = { secret_hash: hashOf(secret), expires_at: Date.now() + TTL * 1000 };
  await update<ResetRecord>(kv, resetKey(userId), TTL, () => record);
  return formatToken({ id: userId, secret });
}

/**
 * Spends a reset's token on `work`: of several at once, one succeeds. The token is good again if nothing was done (a
 * password that is refused, a shop too busy), not if the outcome is unknown.
 * @throws InvalidToken, and what `work` throws
 */
export async function spendReset(
  kv: KeyValueStore,
  token: string,
  work: (userId: string) => Promise<unknown>,
): Promise<void> {
  const parsed = parseToken(token);
  const found = parsed && (await kv.get<ResetRecord>(resetKey(parsed.id)));
  if (!parsed || !found || !matches(parsed.secret, found.value.secret_hash)) throw new InvalidToken({});
  const key = resetKey(parsed.id);
  if (!(await kv.delete(key, found.version))) throw new InvalidToken({});
  try {
    await work(parsed.id);
  } catch (error) {
    const left = Math.floor((found.value.expires_at - Date.now()) / 1000);
    if (left > 0 && (isDefinite(error) || isFailure(error, Unavailable))) {
      await kv.compareAndSet(key, null, found.value, left);
    }
    throw error;
  }
}

/** The mail that carries the token. */
export function resetMail(firstName: string, token: string): { subject: string; body: string } {
  return {
    subject: "Set a new password",
    body: [
      `Hello ${firstName},`,
      "",
      "someone, hopefully you, asked to set a new password for your account. This is the code for it:",
      "",
      token,
      "",
      "It is good for one hour and for one use. If it wasn't you, ignore this mail: nothing has changed.",
    ].join("\n"),
  };
}
