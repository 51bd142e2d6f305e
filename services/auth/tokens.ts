import { createHash, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";
import jwt from "jsonwebtoken";
import Type from "typebox";
import { Check } from "typebox/value";
import { newId } from "../../lib/ids.ts";
import { Uuid } from "../../lib/schema.ts";
import { Role } from "../users/users.contract.ts";
import type { Principal } from "./auth.contract.ts";

const ALGORITHM = "HS256";
const ISSUER = "molecart";
const AUDIENCE = "molecart-api";
/** s: how far the clocks of two nodes may be apart. */
const CLOCK_TOLERANCE = 5;

const Claims = Type.Object({ sub: Uuid(), role: Role, sid: Uuid(), exp: Type.Integer() });

/** The key that access tokens are signed with. Made once: of a text jsonwebtoken makes one at every token. */
export const keyOf = (secret: string): KeyObject => createSecretKey(Buffer.from(secret));

/** @param expiresIn seconds */
export function signAccessToken(principal: Principal, key: KeyObject, expiresIn: number): string {
  return jwt.sign({ role: principal.role, sid: principal.session_id }, key, {
    algorithm: ALGORITHM,
    issuer: ISSUER,
    audience: AUDIENCE,
    subject: principal.id,
    // Two tokens of one session and second still differ.
    jwtid: newId(),
    expiresIn,
  });
}

/**
 * Who an access token names, or null if it is not one of ours, tampered with, or expired.
 * @param keys any of them may have signed it
 */
export function verifyAccessToken(token: string, keys: readonly KeyObject[]): Principal | null {
  for (const key of keys) {
    const claims = claimsOf(token, key);
    if (Check(Claims, claims)) return { id: claims.sub, role: claims.role, session_id: claims.sid };
  }
  return null;
}

function claimsOf(token: string, key: KeyObject): unknown {
  try {
    return jwt.verify(token, key, {
      algorithms: [ALGORITHM],
      issuer: ISSUER,
      audience: AUDIENCE,
      clockTolerance: CLOCK_TOLERANCE,
    });
  } catch {
    return undefined;
  }
}

/** `<id>.<secret>`: the id says where the secret's hash is kept. */
export interface OpaqueToken {
  id: string;
  /** 32 random bytes in base64url. */
  secret: string;
}

const OPAQUE = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([A-Za-z0-9_-]{43})$/;

export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

export function formatToken({ id, secret }: OpaqueToken): string {
  return `${id}.${secret}`;
}

/** The parts of an opaque token, or null if it can't be one of ours. */
export function parseToken(token: string): OpaqueToken | null {
  const [, id, secret] = OPAQUE.exec(token) ?? [];
  return id !== undefined && secret !== undefined ? { id, secret } : null;
}

/** What is kept of a secret. It has 256 random bits, so a fast hash without salt does. */
export function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}

/** Compares a secret with a kept hash in constant time. */
export function matches(secret: string, hash: string): boolean {
  const given = Buffer.from(hashOf(secret));
  const kept = Buffer.from(hash);
  return given.length === kept.length && timingSafeEqual(given, kept);
}
