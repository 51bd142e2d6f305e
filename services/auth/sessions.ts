import { InvalidToken } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { type KeyValueStore, update } from "../../lib/stores/key-value.ts";
import { formatToken, hashOf, matches, newSecret, parseToken } from "./tokens.ts";

/** Under `session:<id>`. */
interface SessionRecord {
  user_id: string;
  /** The user's revocation it began under: it lives until there is another. */
  revocation: string | null;
  /** Of the refresh token that is good now. */
  secret_hash: string;
  /** The refresh token before, and when (ms) it was spent. */
  spent: { secret_hash: string; at: number } | null;
}

/** Under `revoked:<user id>`: the latest time all sessions of the user were ended. Compared by id, so no clock matters. */
interface Revocation {
  id: string;
}

/** A refresh token that is good, and the version of the session it was read from. */
export interface Presented {
  sessionId: string;
  record: SessionRecord;
  version: number;
}

/** ms: two tabs that wake at once send one token twice, as far apart as a browser and a network let them. */
const OVERLAP = 5_000;

/** s: a mark outlives a session that was written, late, under the mark before. */
const MARGIN = 3600;

const sessionKey = (sessionId: string) => `session:${sessionId}`;
const revokedKey = (userId: string) => `revoked:${userId}`;

/**
 * Sessions in the key-value store, of which only the hash of the current refresh token is kept.
 *
 * A login reads the user's revocation first ({@link revocationOf}), then the user, and opens the session under what it
 * read: whatever changes the user in between revokes, and so ends that session too.
 */
export class Sessions {
  readonly #kv: KeyValueStore;
  readonly #ttl: number;

  /** @param ttl seconds a session lives after its last refresh */
  constructor(kv: KeyValueStore, ttl: number) {
    this.#kv = kv;
    this.#ttl = ttl;
  }

  /** The user's latest revocation, null if there is none. */
  async revocationOf(userId: string): Promise<string | null> {
    return (await this.#kv.get<Revocation>(revokedKey(userId)))?.value.id ?? null;
  }

  /** @returns the session's id and its first refresh token */
  async open(
    userId: string,
    revocation: string | null,
  ): Promise<{ sessionId: string; refreshToken: string }> {
    const sessionId = newId();
    const secret = newSecret();
    const record: SessionRecord = {
      user_id: userId,
      revocation,
      secret_hash: hashOf(secret),
      spent: null,
    };
    if (!(await this.#kv.compareAndSet(sessionKey(sessionId), null, record, this.#ttl)))
      throw new Error("A new session's id is in use.");
    return { sessionId, refreshToken: formatToken({ id: sessionId, secret }) };
  }

  /** Whether this session of this user has neither ended nor expired. */
  async lives(sessionId: string, userId: string): Promise<boolean> {
    const [session, revocation] = await Promise.all([
      this.#kv.get<SessionRecord>(sessionKey(sessionId)),
      this.revocationOf(userId),
    ]);
    return session !== null && session.value.user_id === userId && outlived(session.value, revocation);
  }

  /**
   * Looks a refresh token up. One that was spent ends its session: either its owner or a thief has used it before.
   * Only one that was spent just now (two tabs at once) is refused and no more.
   * @param now ms
   * @throws InvalidToken
   */
  async present(refreshToken: string, now: number): Promise<Presented> {
    const token = parseToken(refreshToken);
    const found = token && (await this.#kv.get<SessionRecord>(sessionKey(token.id)));
    if (!token || !found) throw new InvalidToken({});
    const { value: record, version } = found;
    if (matches(token.secret, record.secret_hash)) {
      if (outlived(record, await this.revocationOf(record.user_id)))
        return { sessionId: token.id, record, version };
    } else if (isOverlap(record, token.secret, now)) {
      throw new InvalidToken({});
    }
    await this.end(token.id);
    throw new InvalidToken({});
  }

  /** Spends a refresh token for the next: of several at once, one succeeds. @throws InvalidToken */
  async rotate({ sessionId, record, version }: Presented): Promise<string> {
    const secret = newSecret();
    const next: SessionRecord = {
      ...record,
      secret_hash: hashOf(secret),
      spent: { secret_hash: record.secret_hash, at: Date.now() },
    };
    if (!(await this.#kv.compareAndSet(sessionKey(sessionId), version, next, this.#ttl)))
      throw new InvalidToken({});
    return formatToken({ id: sessionId, secret });
  }

  async end(sessionId: string): Promise<void> {
    await this.#kv.delete(sessionKey(sessionId));
  }

  /** Ends every session of the user that was begun until now, those of a login under way too. */
  async endAll(userId: string): Promise<void> {
    await update<Revocation>(this.#kv, revokedKey(userId), this.#ttl + MARGIN, () => ({ id: newId() }));
  }
}

/** Once the mark has expired, so have all sessions from before it. */
function outlived(record: SessionRecord, revocation: string | null): boolean {
  return revocation === null || record.revocation === revocation;
}

function isOverlap({ spent }: SessionRecord, secret: string, now: number): boolean {
  return spent !== null && now - spent.at <= OVERLAP && matches(secret, spent.secret_hash);
}
