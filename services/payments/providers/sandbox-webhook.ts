import { createHmac, timingSafeEqual } from "node:crypto";
import Type from "typebox";
import { Check } from "typebox/value";
import { InvalidSignature, MalformedRequest } from "../../../lib/errors.ts";
import type { ProviderEvent } from "./provider.ts";

/** The header that carries `t=<unix seconds>,v1=<hex hmac-sha256 of "t.body">`. */
export const SANDBOX_SIGNATURE = "x-sandbox-signature";
/** Seconds that a signature is good, so that a recorded webhook can't be played back for ever. */
const TOLERANCE = 300;

const Id = Type.String({ pattern: "^[A-Za-z0-9_.:-]{1,200}$" });
/** Open: a provider may add to its events at any time. */
const SandboxEvent = Type.Object({
  id: Id,
  type: Type.Enum(["charge.captured", "charge.failed", "refund.succeeded"]),
  data: Type.Object({ idempotency_key: Id }),
});

/** Signs a webhook as the sandbox does. @param at unix seconds @returns the value of {@link SANDBOX_SIGNATURE} */
export function signSandboxWebhook(secret: string, rawBody: string, at: number): string {
  return `t=${at},v1=${digest(secret, rawBody, at).toString("hex")}`;
}

/** @throws InvalidSignature, MalformedRequest */
export function readSandboxWebhook(
  secret: string,
  rawBody: string,
  headers: Readonly<Record<string, string>>,
): ProviderEvent {
  const [, time, signature] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(headers[SANDBOX_SIGNATURE] ?? "") ?? [];
  if (time === undefined || signature === undefined) throw new InvalidSignature({});
  const at = Number(time);
  const isGenuine = timingSafeEqual(digest(secret, rawBody, at), Buffer.from(signature, "hex"));
  if (!isGenuine || Math.abs(Date.now() / 1000 - at) > TOLERANCE) throw new InvalidSignature({});

  const event = parse(rawBody);
  if (!Check(SandboxEvent, event)) throw new MalformedRequest({ reason: "This is no event of the sandbox." });
  return {
    id: event.id,
    about: event.type.startsWith("refund.") ? "refund" : "charge",
    key: event.data.idempotency_key,
  };
}

function digest(secret: string, rawBody: string, at: number): Buffer {
  return createHmac("sha256", secret).update(`${at}.${rawBody}`).digest();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new MalformedRequest({ reason: "The body is not valid JSON." });
  }
}
