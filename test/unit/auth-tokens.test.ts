import { describe, expect, test } from "@jest/globals";
import jwt from "jsonwebtoken";
import { newId } from "../../lib/ids.ts";
import {
  formatToken,
  hashOf,
  keyOf,
  matches,
  newSecret,
  parseToken,
  signAccessToken,
  verifyAccessToken,
} from "../../services/auth/tokens.ts";

const SECRET = "a-secret-of-the-tests-a-secret-of-the-tests";
const KEY = keyOf(SECRET);
const KEYS = [KEY];
const PRINCIPAL = { id: newId(), role: "customer", session_id: newId() } as const;
const CLAIMS = { sub: PRINCIPAL.id, role: PRINCIPAL.role, sid: PRINCIPAL.session_id };
const OURS = { algorithm: "HS256", issuer: "molecart", audience: "molecart-api", expiresIn: 60 } as const;

/** Changes one character of one of a token's three parts. */
function tamper(token: string, part: 0 | 1 | 2): string {
  const parts = token.split(".");
  const text = parts[part] ?? "";
  const middle = Math.floor(text.length / 2);
  parts[part] = `${text.slice(0, middle)}${text[middle] === "A" ? "B" : "A"}${text.slice(middle + 1)}`;
  return parts.join(".");
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("access tokens", () => {
  test("a signed token names its principal", () => {
    expect(verifyAccessToken(signAccessToken(PRINCIPAL, KEY, 60), KEYS)).toEqual(PRINCIPAL);
  });

  test("carry issuer, audience and an expiry of the given seconds", () => {
    const claims = jwt.decode(signAccessToken(PRINCIPAL, KEY, 900), { json: true });
    expect(claims).toMatchObject({ ...CLAIMS, iss: "molecart", aud: "molecart-api" });
    expect(Number(claims?.exp) - Number(claims?.iat)).toBe(900);
  });

  test("two of one second differ", () => {
    expect(signAccessToken(PRINCIPAL, KEY, 60)).not.toBe(signAccessToken(PRINCIPAL, KEY, 60));
  });

  test("the hand-made token that the refused ones differ from is good", () => {
    expect(verifyAccessToken(jwt.sign(CLAIMS, SECRET, OURS), KEYS)).toEqual(PRINCIPAL);
  });

  const good = jwt.sign(CLAIMS, SECRET, OURS);
  const payload = { ...CLAIMS, iss: OURS.issuer, aud: OURS.audience, exp: 4_000_000_000 };
  const refused: [string, string][] = [
    ["algorithm none", `${encode({ alg: "none", typ: "JWT" })}.${encode(payload)}.`],
    [
      "algorithm none with the old signature",
      `${encode({ alg: "none" })}.${encode(payload)}.${good.split(".")[2]}`,
    ],
    ["another HMAC algorithm", jwt.sign(CLAIMS, SECRET, { ...OURS, algorithm: "HS512" })],
    ["another secret", jwt.sign(CLAIMS, `${SECRET}!`, OURS)],
    ["another issuer", jwt.sign(CLAIMS, SECRET, { ...OURS, issuer: "someone" })],
    ["another audience", jwt.sign(CLAIMS, SECRET, { ...OURS, audience: "another-api" })],
    ["no audience", jwt.sign(CLAIMS, SECRET, { algorithm: "HS256", issuer: OURS.issuer, expiresIn: 60 })],
    ["expired beyond the clocks' tolerance", jwt.sign(CLAIMS, SECRET, { ...OURS, expiresIn: -31 })],
    ["not valid yet", jwt.sign(CLAIMS, SECRET, { ...OURS, notBefore: 60 })],
    ["no expiry", jwt.sign({ ...CLAIMS, iss: OURS.issuer, aud: OURS.audience }, SECRET)],
    ["a role that isn't one", jwt.sign({ ...CLAIMS, role: "owner" }, SECRET, OURS)],
    ["no session", jwt.sign({ ...CLAIMS, sid: undefined }, SECRET, OURS)],
    ["a subject that is no id", jwt.sign({ ...CLAIMS, sub: "1 OR 1=1" }, SECRET, OURS)],
    ["a tampered header", tamper(good, 0)],
    ["a tampered payload", tamper(good, 1)],
    ["a tampered signature", tamper(good, 2)],
    ["nothing", ""],
    ["text", "not a token"],
    ["two parts", good.split(".").slice(0, 2).join(".")],
  ];
  test.each(refused)("%s is refused", (_, token) => {
    expect(verifyAccessToken(token, KEYS)).toBeNull();
  });

  test("one that expired a second ago is good on a node whose clock is behind", () => {
    expect(verifyAccessToken(jwt.sign(CLAIMS, SECRET, { ...OURS, expiresIn: -1 }), KEYS)).toEqual(PRINCIPAL);
  });
});

test("while one secret replaces another, tokens of both are good, and of no third", () => {
  const signed = (secret: string) => signAccessToken(PRINCIPAL, keyOf(secret), 60);
  const keys = [keyOf(`${SECRET}-new`), KEY];
  expect(verifyAccessToken(signed(`${SECRET}-new`), keys)).toEqual(PRINCIPAL);
  expect(verifyAccessToken(signed(SECRET), keys)).toEqual(PRINCIPAL);
  expect(verifyAccessToken(signed(`${SECRET}-other`), keys)).toBeNull();
});

describe("opaque tokens", () => {
  test("are read as they were written", () => {
    const token = { id: newId(), secret: newSecret() };
    expect(parseToken(formatToken(token))).toEqual(token);
  });

  const id = newId();
  test.each([
    ["empty", ""],
    ["no secret", `${id}.`],
    ["no id", `.${newSecret()}`],
    ["an id of upper case", `${id.toUpperCase()}.${newSecret()}`],
    ["a short secret", `${id}.${newSecret().slice(1)}`],
    ["a long secret", `${id}.${newSecret()}A`],
    ["a character that isn't base64url", `${id}.${newSecret().slice(1)}+`],
    ["a line after it", `${id}.${newSecret()}\n`],
    ["another key of the store", `revoked:${id}.${newSecret()}`],
  ])("%s is none of ours", (_, token) => {
    expect(parseToken(token)).toBeNull();
  });

  test("a secret matches its own hash only, and no hash contains it", () => {
    const secret = newSecret();
    expect(matches(secret, hashOf(secret))).toBe(true);
    expect(matches(newSecret(), hashOf(secret))).toBe(false);
    expect(matches(secret, "")).toBe(false);
    expect(hashOf(secret)).not.toContain(secret);
  });
});
