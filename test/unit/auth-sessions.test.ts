import { beforeEach, describe, expect, test } from "@jest/globals";
import { InvalidToken } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { KeyValueStore, Versioned } from "../../lib/stores/key-value.ts";
import { Sessions } from "../../services/auth/sessions.ts";
import { newSecret } from "../../services/auth/tokens.ts";

const TTL = 100;
const REFUSED = { type: InvalidToken.code, code: 401 };

/** A store in memory whose clock the test sets (s). */
class FakeStore implements KeyValueStore {
  now = 0;
  readonly entries = new Map<string, { json: string; version: number; expiresAt: number }>();

  async get<T extends object>(key: string): Promise<Versioned<T> | null> {
    const entry = this.entries.get(key);
    if (!entry || entry.expiresAt <= this.now) return null;
    const value: T = JSON.parse(entry.json);
    return { value, version: entry.version };
  }
  async compareAndSet<T extends object>(key: string, expected: number | null, value: T, ttl: number) {
    const current = await this.get(key);
    if ((current?.version ?? null) !== expected) return false;
    const version = (this.entries.get(key)?.version ?? 0) + 1;
    this.entries.set(key, { json: JSON.stringify(value), version, expiresAt: this.now + ttl });
    return true;
  }
  async delete(key: string, expected?: number) {
    const current = await this.get(key);
    if (!current || (expected !== undefined && current.version !== expected)) return false;
    return this.entries.delete(key);
  }
  async ping() {}
  async close() {}
}

let store: FakeStore;
let sessions: Sessions;
let userId: string;
beforeEach(() => {
  store = new FakeStore();
  sessions = new Sessions(store, TTL);
  userId = newId();
});

/** A login that reads the revocation when it should. */
async function logIn() {
  return await sessions.open(userId, await sessions.revocationOf(userId));
}

/** A refresh of a request that began now. */
async function refresh(token: string) {
  return await sessions.rotate(await sessions.present(token, Date.now()));
}

describe("a session", () => {
  test("lives for its user, and for nobody else", async () => {
    const { sessionId } = await logIn();
    expect(await sessions.lives(sessionId, userId)).toBe(true);
    expect(await sessions.lives(sessionId, newId())).toBe(false);
    expect(await sessions.lives(newId(), userId)).toBe(false);
  });

  test("keeps nothing a thief of the store could refresh with", async () => {
    const { refreshToken } = await logIn();
    const next = await refresh(refreshToken);
    const kept = JSON.stringify([...store.entries]);
    for (const token of [refreshToken, next]) expect(kept).not.toContain(token.split(".")[1]);
  });

  test("expires after its time, counted from its last refresh", async () => {
    const { sessionId, refreshToken } = await logIn();
    store.now = TTL - 1;
    await refresh(refreshToken);
    store.now = TTL + 1;
    expect(await sessions.lives(sessionId, userId)).toBe(true);
    store.now = 2 * TTL;
    expect(await sessions.lives(sessionId, userId)).toBe(false);
  });

  test("ends", async () => {
    const { sessionId, refreshToken } = await logIn();
    await sessions.end(sessionId);
    expect(await sessions.lives(sessionId, userId)).toBe(false);
    await expect(refresh(refreshToken)).rejects.toMatchObject(REFUSED);
  });
});

describe("rotation", () => {
  test("goes on from token to token", async () => {
    const { sessionId, refreshToken } = await logIn();
    const second = await refresh(refreshToken);
    const third = await refresh(second);
    expect(new Set([refreshToken, second, third]).size).toBe(3);
    expect(await sessions.lives(sessionId, userId)).toBe(true);
  });

  test.each([1, 2])("a token used again after %i more refreshes ends the session", async (refreshes) => {
    const { sessionId, refreshToken } = await logIn();
    let current = refreshToken;
    for (let n = 0; n < refreshes; n++) current = await refresh(current);
    await expect(sessions.present(refreshToken, Date.now() + 5001)).rejects.toMatchObject(REFUSED);
    expect(await sessions.lives(sessionId, userId)).toBe(false);
    await expect(refresh(current)).rejects.toMatchObject(REFUSED);
  });

  test("of two that read the session at once, one wins and its token is good", async () => {
    const { sessionId, refreshToken } = await logIn();
    const one = await sessions.present(refreshToken, Date.now());
    const other = await sessions.present(refreshToken, Date.now());
    const next = await sessions.rotate(one);
    await expect(sessions.rotate(other)).rejects.toMatchObject(REFUSED);
    expect(await sessions.lives(sessionId, userId)).toBe(true);
    await refresh(next);
  });

  test("one that comes just after the token was spent gets nothing, and ends nothing", async () => {
    const { sessionId, refreshToken } = await logIn();
    const next = await refresh(refreshToken);
    await expect(sessions.present(refreshToken, Date.now() + 4000)).rejects.toMatchObject(REFUSED);
    expect(await sessions.lives(sessionId, userId)).toBe(true);
    await refresh(next);
  });

  test("a logout between reading and rotating wins", async () => {
    const { sessionId, refreshToken } = await logIn();
    const presented = await sessions.present(refreshToken, Date.now());
    await sessions.end(sessionId);
    await expect(sessions.rotate(presented)).rejects.toMatchObject(REFUSED);
    expect(await sessions.lives(sessionId, userId)).toBe(false);
  });

  test("a forged secret gets nothing", async () => {
    const { sessionId } = await logIn();
    await expect(refresh(`${sessionId}.${newSecret()}`)).rejects.toMatchObject(REFUSED);
  });
});

describe("ending all sessions of a user", () => {
  test("ends each, also for refreshing, and nobody else's", async () => {
    const [one, two] = [await logIn(), await logIn()];
    const somebodyElse = await sessions.open(newId(), null);
    const other = (await sessions.present(somebodyElse.refreshToken, Date.now())).record.user_id;
    await sessions.endAll(userId);
    for (const { sessionId, refreshToken } of [one, two]) {
      expect(await sessions.lives(sessionId, userId)).toBe(false);
      await expect(refresh(refreshToken)).rejects.toMatchObject(REFUSED);
    }
    expect(await sessions.lives(somebodyElse.sessionId, other)).toBe(true);
  });

  test("leaves a later login alone, until the next time", async () => {
    await sessions.endAll(userId);
    const { sessionId } = await logIn();
    expect(await sessions.lives(sessionId, userId)).toBe(true);
    await sessions.endAll(userId);
    expect(await sessions.lives(sessionId, userId)).toBe(false);
  });

  test("ends a login that was under way: one that asked for the revocation before", async () => {
    const revocation = await sessions.revocationOf(userId);
    await sessions.endAll(userId);
    const { sessionId, refreshToken } = await sessions.open(userId, revocation);
    expect(await sessions.lives(sessionId, userId)).toBe(false);
    await expect(refresh(refreshToken)).rejects.toMatchObject(REFUSED);
  });

  test("ends a session whose refresh was under way", async () => {
    const { sessionId, refreshToken } = await logIn();
    const presented = await sessions.present(refreshToken, Date.now());
    await sessions.endAll(userId);
    const next = await sessions.rotate(presented);
    expect(await sessions.lives(sessionId, userId)).toBe(false);
    await expect(refresh(next)).rejects.toMatchObject(REFUSED);
  });

  test("holds for as long as such a session could live", async () => {
    const { sessionId } = await logIn();
    await sessions.endAll(userId);
    for (store.now = 0; store.now < 3 * TTL; store.now += TTL / 4)
      expect(await sessions.lives(sessionId, userId)).toBe(false);
  });

  test("also where the login that was under way took half an hour to be written", async () => {
    const revocation = await sessions.revocationOf(userId);
    await sessions.endAll(userId);
    store.now = 1800;
    const { sessionId } = await sessions.open(userId, revocation);
    for (; store.now < 1800 + 2 * TTL; store.now += TTL / 4)
      expect(await sessions.lives(sessionId, userId)).toBe(false);
  });

  test("and a session begun under a mark outlives that mark", async () => {
    await sessions.endAll(userId);
    const { sessionId, refreshToken } = await logIn();
    let token = refreshToken;
    for (store.now = 0; store.now < 3600 + 3 * TTL; store.now += TTL - 1) token = await refresh(token);
    expect(await sessions.revocationOf(userId)).toBeNull();
    store.now -= TTL - 1;
    expect(await sessions.lives(sessionId, userId)).toBe(true);
  });
});
